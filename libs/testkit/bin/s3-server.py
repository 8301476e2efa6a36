"""An S3 server on loopback: OpenStack Swift, all its parts in this one process, its data in one directory.

    s3-server.py DIRECTORY PORT ACCESS_KEY SECRET_KEY

PORT 0 takes a free one. Prints the port when it answers; ends when standard input does.
"""
import eventlet

eventlet.monkey_patch()

import os
import sys
import time
from socket import IPPROTO_TCP, TCP_NODELAY

from eventlet import listen, spawn, tpool, wsgi
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import loadapp

directory, port, access, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
devices = os.path.join(directory, 'devices')
os.makedirs(os.path.join(devices, 'one'), exist_ok=True)
# What keeps one installation's hashes from another's; this one has no other.
utils.HASH_PATH_PREFIX = utils.HASH_PATH_SUFFIX = b'postbus'

STORE = """
[DEFAULT]
devices = {devices}
mount_check = false
swift_dir = {directory}
log_level = ERROR
bind_port = {port}
[app:main]
use = egg:swift#{part}
fallocate_reserve = 0
disable_fallocate = true
"""

PROXY = """
[DEFAULT]
swift_dir = {directory}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors listing_formats bulk s3api tempauth copy slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
force_swift_request_proxy_log = false
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
"""


class Memory:
    """What Swift asks of memcached, for one process."""

    def __init__(self):
        self.values = {}

    def get(self, key, **_):
        value, until = self.values.get(key, (None, None))
        return value if until is None or until > now() else None

    def set(self, key, value, time=0, **_):
        self.values[key] = (value, now() + time if time else None)

    def delete(self, key, **_):
        self.values.pop(key, None)


now = time.monotonic
memory = Memory()


def in_front(app):
    def answer(env, start_response):
        env['swift.cache'] = memory
        body = app(env, start_response)
        # Its S3 errors have one even here, and the client would take it for the next answer.
        return [b''] if env['REQUEST_METHOD'] == 'HEAD' else body

    return answer


def written(name, text):
    path = os.path.join(directory, name)
    with open(path, 'w') as file:
        file.write(text)
    return path


def listening(port):
    socket = listen(('127.0.0.1', port), backlog=1000)
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return socket


def serve(socket, app):
    spawn(wsgi.server, socket, app, open(os.devnull, 'w'), log_output=False, keepalive=True, custom_pool=eventlet.GreenPool(1000))


for part in ('account', 'container', 'object'):
    socket = listening(0)
    ring = RingBuilder(2, 1, 0)
    ring.add_dev({'id': 0, 'region': 1, 'zone': 1, 'weight': 1, 'ip': '127.0.0.1', 'port': socket.getsockname()[1], 'device': 'one'})
    ring.rebalance()
    ring.get_ring().save(os.path.join(directory, part + '.ring.gz'))
    config = written(part + '.conf', STORE.format(devices=devices, directory=directory, port=socket.getsockname()[1], part=part))
    serve(socket, loadapp(config, {}, allow_modify_pipeline=False))

account, user = access.split(':')
config = written('proxy.conf', PROXY.format(directory=directory, account=account, user=user, secret=secret))
socket = listening(port)
serve(socket, in_front(loadapp(config, {}, allow_modify_pipeline=False)))
print(socket.getsockname()[1], flush=True)

tpool.execute(sys.stdin.read)
os._exit(0)
