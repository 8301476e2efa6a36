/** A Postfix of the test's own: configuration, queue and port in a temporary directory, nothing of the system touched. */
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

import { freePort } from '@postbus/testkit'

const run = promisify(execFile)

export interface Postfix {
  /** Its smtpd. */
  port: number
  /** What it wrote about its deliveries. */
  log(): Promise<string>
}

/** Relays everything for one domain to a host and port; takes nothing for others. */
export function relayingPostfix(
  t: TestContext,
  domain: string,
  next: { host: string; port: number },
): Promise<Postfix> {
  return startPostfix(t, () => [
    `relay_domains = ${domain}`,
    'relay_recipient_maps =',
    `relay_transport = smtp:[${next.host}]:${next.port}`,
    // The first refusal would otherwise wait for minutes.
    'minimal_backoff_time = 2s',
    'queue_run_delay = 2s',
  ])
}

export interface ReceivingPostfix extends Postfix {
  /** Every message it has delivered, as it stands in the mailbox. */
  received(): Promise<Buffer[]>
}

/** The MX of one domain: whatever the local part, into one Maildir. */
export async function receivingPostfix(t: TestContext, domain: string): Promise<ReceivingPostfix> {
  const [uid, gid] = await idsOf('nobody')
  let maildir = ''
  const postfix = await startPostfix(t, async (dir) => {
    const base = join(dir, 'mail')
    maildir = join(base, 'all', 'new')
    await mkdir(base)
    await chown(base, uid, gid)
    return [
      `virtual_mailbox_domains = ${domain}`,
      `virtual_mailbox_base = ${base}`,
      'virtual_mailbox_maps = static:all/',
      `virtual_uid_maps = static:${uid}`,
      `virtual_gid_maps = static:${gid}`,
    ]
  })
  return {
    ...postfix,
    async received() {
      const names = await readdir(maildir).catch(() => []) // Made with the first message.
      return Promise.all(names.map((name) => readFile(join(maildir, name))))
    },
  }
}

/** @param own settings beside those every Postfix of a test has */
async function startPostfix(
  t: TestContext,
  own: (dir: string) => readonly string[] | Promise<readonly string[]>,
): Promise<Postfix> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-postfix-'))
  const config = join(dir, 'etc')
  const log = join(dir, 'log', 'mail.log')
  for (const name of ['etc', 'data', 'spool', 'log']) await mkdir(join(dir, name))
  // Postfix drops its rights and must still find its way in.
  await Promise.all([chmod(dir, 0o755), chown(join(dir, 'data'), ...(await idsOf('postfix')))])
  const port = await freePort()
  await writeFile(
    join(config, 'main.cf'),
    [
      'compatibility_level = 3.6',
      `queue_directory = ${dir}/spool`,
      `data_directory = ${dir}/data`,
      'command_directory = /usr/sbin',
      'daemon_directory = /usr/lib/postfix/sbin',
      'meta_directory = /etc/postfix',
      'mail_owner = postfix',
      'setgid_group = postdrop',
      'myhostname = relay.example.com',
      'mydestination =',
      'mynetworks = 127.0.0.0/8',
      'inet_interfaces = 127.0.0.1',
      'inet_protocols = ipv4',
      'alias_maps =',
      'alias_database =',
      'disable_dns_lookups = yes',
      'smtpd_relay_restrictions = reject_unauth_destination',
      'smtpd_client_connection_rate_limit = 0',
      ...(await own(dir)),
      `maillog_file = ${log}`,
      `maillog_file_prefixes = ${dir}/log`,
      '',
    ].join('\n'),
  )
  // The stock services, none of them chrooted, smtpd on our port.
  const services = await readFile(join('/etc/postfix', 'master.cf.proto'), 'utf8')
  const ours = services
    .replace(/^smtp( +)inet/m, `127.0.0.1:${port} inet`)
    .replace(/^(\S+\s+(?:unix|inet|pass)\s+\S+\s+\S+\s+)[y-]/gm, '$1n')
  await writeFile(join(config, 'master.cf'), ours)
  t.after(async () => {
    await run('postfix', ['-c', config, 'stop']).catch(() => {}) // It did not start: the scenario says so.
    await rm(dir, { recursive: true, force: true })
  })
  await run('postfix', ['-c', config, 'start'])
  return { port, log: () => readFile(log, 'utf8') }
}

async function idsOf(user: string): Promise<[uid: number, gid: number]> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => (await run('id', [flag, user])).stdout))
  return [Number(uid), Number(gid)]
}
