/** An organisation moves in from Postfix and Dovecot with one command: people keep address, password and mail, and the command may be called again. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { directory } from '../directories.ts'
import { imapClientOf, messages } from '../mailboxes.ts'
import { startPlatform } from '../platform.ts'
import { type Account, postbusStatus } from '../postbus.ts'
import { bySwaks } from '../sending.ts'

const run = promisify(execFile)

interface Migrated {
  added: Record<string, number>
  known: Record<string, number>
  refused: string[]
  moved: { address: string; messages: number; failed: string[] }[]
  remarks: string[]
}

const smith: Account = { address: 'smith@example.com', password: 'as it was before' }

/** The old machine's files. */
async function oldServer(root: string) {
  const { stdout } = await run('doveadm', ['pw', '-s', 'BLF-CRYPT', '-p', smith.password])
  const etc = join(root, 'etc', 'postfix')
  const maildir = join(root, 'var', 'vmail', 'example.com', 'smith')
  await mkdir(etc, { recursive: true })
  for (const folder of ['.', '.Work']) {
    for (const part of ['cur', 'new', 'tmp']) await mkdir(join(maildir, folder, part), { recursive: true })
  }
  await writeFile(
    join(etc, 'main.cf'),
    `myhostname = mail.example.com
mydestination = localhost
alias_maps =
virtual_mailbox_domains = example.com
virtual_mailbox_base = /var/vmail
virtual_mailbox_maps = hash:/etc/postfix/vmailbox
virtual_alias_maps = hash:/etc/postfix/virtual
header_checks = pcre:/etc/postfix/header_checks
`,
  )
  await writeFile(join(etc, 'vmailbox'), `${smith.address} example.com/smith/\n`)
  await writeFile(join(etc, 'virtual'), `info@example.com ${smith.address}\n`)
  await writeFile(join(root, 'users'), `${smith.address}:${stdout.trim()}:5000:5000::/home/smith::\n`)
  const put = (folder: string, name: string, subject: string) =>
    writeFile(join(maildir, folder, name), `From: jones@example.net\nSubject: ${subject}\n\n${subject}\n`)
  await put('cur', '1700000000.M1P1.old:2,S', 'read long ago')
  await put('new', '1700000001.M2P1.old', 'unread')
  await put('.Work/cur', '1700000002.M3P1.old:2,F', 'about work')
  return { etc, users: join(root, 'users'), put }
}

test('domains, accounts with their passwords, aliases and mail move in, and a second call brings only what came meanwhile', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const root = await directory()
  const old = await oldServer(root)
  const move = () =>
    postbusStatus<Migrated>(ready, 'migrate', 'postfix', old.etc, '--root', root, '--passwd-file', old.users)

  const first = await move()
  // header_checks does not come along, and the command says so.
  assert.deepEqual([first.status, first.value.remarks.length, first.value.refused], [1, 1, []])
  assert.deepEqual(first.value.added, { domain: 1, account: 1, alias: 1, transport: 0 })
  assert.deepEqual(first.value.moved, [{ address: smith.address, messages: 3, failed: [] }])

  const seen = async (): Promise<Record<string, string[]>> => {
    const client = await imapClientOf(ready, smith)
    try {
      const subjects: Record<string, string[]> = {}
      for (const path of ['INBOX', 'Work']) {
        await client.mailboxOpen(path, { readOnly: true })
        const messages = await client.fetchAll('1:*', { envelope: true, flags: true })
        subjects[path] = messages.map(({ envelope, flags }) =>
          [envelope?.subject, ...(flags ?? [])].filter((flag) => flag !== '\\Recent').join(' '),
        )
      }
      return subjects
    } finally {
      await client.logout()
    }
  }
  assert.deepEqual(await seen(), { INBOX: ['read long ago \\Seen', 'unread'], Work: ['about work \\Flagged'] })

  await old.put('new', '1700000003.M4P1.old', 'came meanwhile')
  const second = await move()
  assert.deepEqual(second.value.known, { domain: 1, account: 1, alias: 1, transport: 0 })
  assert.deepEqual(second.value.moved, [{ address: smith.address, messages: 1, failed: [] }])
  assert.deepEqual((await seen())['INBOX'], ['read long ago \\Seen', 'unread', 'came meanwhile'])

  await bySwaks(ready, { from: 'jones@example.net', to: 'info@example.com' })
  assert.equal((await messages(ready, smith, 4)).length, 4)
})
