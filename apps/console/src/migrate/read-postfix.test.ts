import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { tablesBelow } from './lookup-table.ts'
import { MainCf } from './main-cf.ts'
import { passwdEntries } from './passwd-file.ts'
import { planOf } from './read-postfix.ts'

/** @param files by their paths on the machine that moves */
async function plan(t: TestContext, main: string, files: Record<string, string> = {}, passwd: string[] = []) {
  const root = mkdtempSync(join(tmpdir(), 'postbus-postfix-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return planOf(new MainCf(main), passwdEntries(passwd), tablesBelow(root))
}

const HASH = '{SSHA}M7uKDo65ohO8r0lQH0NXRSMQw+QlJRBp'

test('settings continue over lines, refer to others, and have defaults', () => {
  const config = new MainCf(`
# a comment
myhostname = mail.example.org
mydestination = $myhostname,
# another in between
  $mydomain, localhost.$mydomain
    localhost
virtual_alias_maps = hash:/a, inline:{ {x = y, z}, {b = c} }
relayhost = \${empty?{no}}[smtp.example.net]:587
`)
  assert.deepEqual(config.list('mydestination'), [
    ...['mail.example.org', 'example.org', 'localhost.example.org', 'localhost'],
  ])
  assert.equal(config.get('myorigin'), 'mail.example.org')
  assert.deepEqual(config.list('virtual_alias_maps'), ['hash:/a', 'inline:{ {x = y, z}, {b = c} }'])
  assert.equal(config.get('relayhost'), '[smtp.example.net]:587')
})

test('hosted domains: mailboxes with their hashes, aliases, catch-all, whole-domain rewriting', async (t) => {
  const main = `
myhostname = mx.example.org
mydestination = localhost
alias_maps =
recipient_delimiter = +
virtual_mailbox_domains = example.org, example.net
virtual_mailbox_base = /var/vmail
virtual_mailbox_maps = hash:/etc/postfix/vmailbox
virtual_alias_maps = hash:/etc/postfix/virtual`
  const files = {
    '/etc/postfix/vmailbox': 'smith@example.org example.org/smith/\njones@example.org example.org/jones/\n',
    '/etc/postfix/virtual': `
# people
info@example.org   Smith@example.org, jones@example.org
sales@example.org
    info@example.org
@example.net       @example.org
@example.org       smith@example.org
example.com        a domain
hello@example.com  someone@far.test
jones@example.org  jones@example.org, copy@far.test
gone@unknown.test  smith@example.org
`,
  }
  const made = await plan(t, main, files, [
    `smith@example.org:${HASH}:5000:5000:Ann Smith,Room 7:/home/smith::userdb_quota_rule=*:storage=2G`,
    `brown@example.org:{PLAIN}correct horse:5000:5000::/home/brown::userdb_mail=maildir:~/Mail`,
    `locked@example.org:!${HASH}:::::`,
    `who@elsewhere.test:${HASH}::::::`,
  ])
  assert.deepEqual(made.domains, [
    { domain: 'example.org', kind: 'local', subaddressSeparator: '+', catchAll: 'smith@example.org' },
    { domain: 'example.net', kind: 'alias', target: 'example.org', subaddressSeparator: '+' },
    { domain: 'example.com', kind: 'local', subaddressSeparator: '+' },
  ])
  assert.deepEqual(made.accounts, [
    {
      ...{ address: 'smith@example.org', passwordHash: HASH, name: 'Ann Smith', quotaBytes: 2 * 1024 ** 3 },
      maildir: '/var/vmail/example.org/smith/',
    },
    { address: 'brown@example.org', password: 'correct horse', maildir: '/home/brown/Mail' },
    { address: 'locked@example.org' },
    { address: 'jones@example.org', maildir: '/var/vmail/example.org/jones/' },
  ])
  assert.deepEqual(made.aliases, [
    { address: 'info@example.org', kind: 'alias', members: ['smith@example.org', 'jones@example.org'] },
    { address: 'sales@example.org', kind: 'alias', members: ['info@example.org'] },
    { address: 'hello@example.com', kind: 'alias', members: ['someone@far.test'] },
  ])
  const remarks = made.remarks.join('\n')
  for (const about of [
    /who@elsewhere/,
    /jones@example\.org has no password/,
    /jones@example\.org is an account and/,
    /gone@unknown/,
  ])
    assert.match(remarks, about)
  assert.equal(made.remarks.length, 4)
})

test('users of the system: their domains are one, aliases(5) are theirs, programs and files are named', async (t) => {
  const main = `
myhostname = mail.example.org
mydomain = example.org
myorigin = $mydomain
mydestination = $mydomain, $myhostname, localhost.$mydomain, localhost, example.net
relayhost = [smtp.example.com]:submission
smtp_tls_security_level = encrypt
smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
transport_maps = hash:/etc/postfix/transport
sender_dependent_relayhost_maps = inline:{ @news.example.org=[bulk.example.com] }
header_checks = pcre:/etc/postfix/header_checks`
  const files = {
    '/etc/aliases': `
postmaster: root
root: smith
"team": :include:/etc/team
owner-team: smith
support: "|/usr/bin/ticket --new", jones@far.test
archive: /var/mail/archive
`,
    '/etc/team': 'smith\n# away\nbrown@far.test\n',
    '/etc/postfix/sasl_passwd': '[smtp.example.com]:submission postbus:top secret\n',
    '/etc/postfix/transport': `
far.test         smtp:[gate.far.test]:2525
.far.test        smtp:mx.far.test
here.test        lmtp:inet:127.0.0.1:24
old.test         error:5.1.2 no longer in use
bin.test         discard:
script.test      pipeline:
one@far.test     smtp:[other.test]
example.org      lmtp:unix:private/dovecot-lmtp
`,
  }
  const made = await plan(t, main, files, [`smith:${HASH}:1000:1000:Ann Smith:/home/smith:/bin/sh`])
  assert.deepEqual(
    made.domains.map(({ domain, kind, target }) => [domain, kind, target]),
    [
      ['example.org', 'local', undefined],
      ['mail.example.org', 'alias', 'example.org'],
      ['example.net', 'alias', 'example.org'],
    ],
  )
  assert.deepEqual(
    made.accounts.map(({ address, maildir }) => [address, maildir]),
    [['smith@example.org', '/home/smith/Maildir']],
  )
  assert.deepEqual(made.aliases, [
    { address: 'postmaster@example.org', kind: 'alias', members: ['root@example.org'] },
    { address: 'root@example.org', kind: 'alias', members: ['smith@example.org'] },
    {
      ...{ address: 'team@example.org', kind: 'list', members: ['smith@example.org', 'brown@far.test'] },
      owner: 'smith@example.org',
    },
    { address: 'support@example.org', kind: 'alias', members: ['jones@far.test'] },
  ])
  const tls = { tls: 'required' }
  assert.deepEqual(made.transports, [
    {
      ...{ name: 'relayhost', match: { domain: '*' }, policy: tls },
      action: { kind: 'smarthost', host: 'smtp.example.com', port: 587, username: 'postbus', password: 'top secret' },
    },
    {
      ...{ name: 'sender-news.example.org', match: { domain: '*', sender: '@news.example.org' }, policy: tls },
      action: { kind: 'smarthost', host: 'bulk.example.com', port: 25 },
    },
    {
      ...{ name: 'transport-far.test', match: { domain: 'far.test' }, policy: tls },
      action: { kind: 'smarthost', host: 'gate.far.test', port: 2525 },
    },
    // The same words, less the dot: names are not what rules are chosen by.
    {
      ...{ name: 'transport-far.test-2', match: { domain: '.far.test' }, policy: tls },
      action: { kind: 'smarthost', host: 'mx.far.test', port: 25, mx: true },
    },
    {
      ...{ name: 'transport-here.test', match: { domain: 'here.test' }, policy: {} },
      action: { kind: 'lmtp', host: '127.0.0.1', port: 24 },
    },
    {
      ...{ name: 'transport-old.test', match: { domain: 'old.test' }, policy: {} },
      action: { kind: 'fail', status: '5.1.2', reason: 'no longer in use' },
    },
    { name: 'transport-bin.test', match: { domain: 'bin.test' }, policy: {}, action: { kind: 'discard' } },
  ])
  const remarks = made.remarks.join('\n')
  for (const about of [
    /\/usr\/bin\/ticket/,
    /var\/mail\/archive/,
    /script\.test/,
    /one@far\.test/,
    /header_checks is set/,
  ])
    assert.match(remarks, about)
  assert.equal(made.remarks.length, 5)
})

test('what cannot be read is named, and the rest is read', async (t) => {
  const main = `
mydestination = example.org
alias_maps = ldap:/etc/postfix/ldap.cf, hash:/etc/missing
virtual_alias_maps = regexp:/etc/postfix/rules`
  const made = await plan(t, main)
  assert.deepEqual(made.domains, [{ domain: 'example.org', kind: 'local', subaddressSeparator: null }])
  const remarks = made.remarks.join('\n')
  for (const about of [/ldap:/, /\/etc\/missing cannot be read/, /regexp:/]) assert.match(remarks, about)
  assert.equal(made.remarks.length, 3)
})
