/**
 * A Dovecot of the test's own, to compare answers with: configuration, mail and port in a temporary directory, nothing of
 * the system touched. Needs root, as Dovecot does.
 */
import { execFile, spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

import { freePort } from '@postbus/testkit'

import { until } from './platform.ts'

const run = promisify(execFile)
const START_MS = 60_000

export interface Dovecot {
  host: string
  /** IMAP without TLS; passwords are taken. */
  port: number
  /** Any name is a user with a mailbox of its own; this is the password of all of them. */
  password: string
  log(): Promise<string>
}

/** @param own settings beside those every Dovecot of a test has, one a line */
export async function startDovecot(t: TestContext, own: readonly string[] = []): Promise<Dovecot> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-dovecot-'))
  const config = join(dir, 'dovecot.conf')
  const log = join(dir, 'dovecot.log')
  const mail = join(dir, 'mail')
  const [uid, gid] = await idsOf('nobody')
  await mkdir(mail)
  await Promise.all([chmod(dir, 0o755), chown(mail, uid, gid)])
  const [port, password] = [await freePort(), 'secret']
  await writeFile(
    config,
    [
      ...[`base_dir = ${dir}/run`, `state_dir = ${dir}/state`, `log_path = ${log}`],
      ...['protocols = imap', 'listen = 127.0.0.1', 'ssl = no', 'disable_plaintext_auth = no'],
      ...['first_valid_uid = 1', 'first_valid_gid = 1', `mail_location = maildir:${mail}/%u`],
      // What was appended with CRLF is kept so: sizes are then those of the octets that were sent.
      'mail_save_crlf = yes',
      ...['mail_max_userip_connections = 1000', 'imap_max_line_length = 1M'],
      'passdb {',
      ...['driver = static', `args = password=${password}`],
      '}',
      'userdb {',
      ...['driver = static', `args = uid=${uid} gid=${gid} home=${mail}/%u allow_all_users=yes`],
      '}',
      'service imap-login {',
      ...['inet_listener imap {', `port = ${port}`, '}'],
      ...['inet_listener imaps {', 'port = 0', '}'],
      '}',
      'service stats {',
      ...['unix_listener stats-writer {', 'mode = 0666', '}'],
      '}',
      ...own,
      '',
    ].join('\n'),
  )
  const child = spawn('dovecot', ['-F', '-c', config], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve()) // It is not installed: the scenario says so.
  })
  t.after(async () => {
    child.kill()
    await ended
    await rm(dir, { recursive: true, force: true })
  })
  await until(
    () => answers(port),
    START_MS,
    () => 'Dovecot (dovecot-imapd) did not start',
    child,
  )
  return { host: '127.0.0.1', port, password, log: () => readFile(log, 'utf8') }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

async function idsOf(user: string): Promise<[uid: number, gid: number]> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => (await run('id', [flag, user])).stdout))
  return [Number(uid), Number(gid)]
}
