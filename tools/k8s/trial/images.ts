/** The images of the trial: ours as it was built; stand-ins for the public ones, made of Debian's programs, that keep to their contracts. */
import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { findNatsServer } from '../../nats/find-server.mjs'
import { run } from './machine.ts'
import type { Image } from './pod.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** @param built the directory that deploy/image/build.sh left */
export async function images(built: string): Promise<(reference: string) => Image> {
  const ours: Image = {
    root: join(built, 'rootfs'),
    entrypoint: ['/usr/local/bin/node'],
    workdir: '/app',
    env: { PATH, NODE_ENV: 'production' },
  }
  const nats = await natsImage(built)
  const postgres = await postgresImage(built)
  return (reference) => (/(^|\/)postbus:/.test(reference) ? ours : /\/nats:/.test(reference) ? nats : postgres)
}

/** A small system with a shell, and the server. */
async function natsImage(built: string): Promise<Image> {
  const root = join(built, 'nats')
  if (!existsSync(join(root, 'usr/local/bin/nats-server'))) {
    await mkdir(root, { recursive: true })
    await run('tar', '-xf', join(built, 'build.tar'), '-C', root)
    await mkdir(join(root, 'usr/local/bin'), { recursive: true })
    await cp(await findNatsServer(), join(root, 'usr/local/bin/nats-server'))
  }
  return { root, entrypoint: [], workdir: '/', env: { PATH } }
}

/** What the public image's entry point does for a server that is new. */
const ENTRY = `#!/bin/sh
set -eu
[ "$(id -u)" != 0 ]
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
  printf '\\nhost all all all scram-sha-256\\n' >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  createdb --username=postgres "$POSTGRES_DB"
  pg_ctl --wait --mode=fast stop
fi
exec postgres "$@" -c listen_addresses='*'
`

/** Debian's server on this machine, with a user of the number the public image has. */
async function postgresImage(built: string): Promise<Image> {
  const root = join(built, 'postgres')
  const debian = '/usr/lib/postgresql'
  const version = (await readdir(debian)).sort((a, b) => Number(b) - Number(a))[0] ?? ''
  if (!existsSync(join(root, 'entrypoint.sh'))) {
    for (const dir of ['etc', 'usr', 'var/lib/postgresql/data', 'var/run', 'tmp'])
      await mkdir(join(root, dir), { recursive: true })
    for (const dir of ['bin', 'lib', 'lib64', 'sbin']) await symlink(`usr/${dir}`, join(root, dir))
    await writeFile(join(root, 'etc/passwd'), 'postgres:x:999:999::/var/lib/postgresql:/bin/sh\n')
    await writeFile(join(root, 'etc/group'), 'postgres:x:999:\n')
    await writeFile(join(root, 'entrypoint.sh'), ENTRY, { mode: 0o755 })
  }
  return {
    ...{ root, entrypoint: ['/entrypoint.sh'], workdir: '/' },
    env: { PATH: `${debian}/${version}/bin:${PATH}`, LC_ALL: 'C' },
    binds: ['/usr'],
  }
}
