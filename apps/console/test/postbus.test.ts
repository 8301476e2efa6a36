/** The command through its front door, on a real bus, with a directory that says what the test wants. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { RequestRefused } from '@postbus/bus'
import {
  addAccount,
  addDomain,
  type Alias,
  changeAlias,
  listAccounts,
  listAliases,
  removeAlias,
} from '@postbus/contracts'

import { account, call, createdAt, platform } from './platform.ts'

test('a domain is added with what the options say, found by the data directory', async (t) => {
  const { data, answers } = await platform(t)
  const seen: unknown[] = []
  await answers(addDomain, (input) => {
    seen.push(input)
    const { domain, kind } = input
    return { domain, kind, subaddressSeparator: '+', createdAt }
  })
  const added = await call(['domain', 'add', 'example.net', '--alias-of', 'example.org', '--data', data])
  assert.deepEqual([added.status, added.err], [0, ''])
  assert.match(added.out, /^domain +example\.net\nkind +alias\n/)
  await call(['domain', 'add', 'plain.test', '--separator', 'none', '--data', data])
  assert.deepEqual(seen, [
    { domain: 'example.net', kind: 'alias', target: 'example.org' },
    { domain: 'plain.test', kind: 'local', subaddressSeparator: null },
  ])
})

test('a list is read to its last page, as a table and as JSON', async (t) => {
  const { env, answers } = await platform(t)
  const all = Array.from({ length: 5 }, (_, index) => account(`a${index}@example.org`, { quotaBytes: 1024 ** 3 }))
  await answers(listAccounts, ({ after = '' }) => {
    const rest = all.filter(({ address }) => address > after)
    return { accounts: rest.slice(0, 2), more: rest.length > 2 }
  })
  const json = await call(['account', 'list', '--json'], env)
  assert.deepEqual(JSON.parse(json.out), all)
  const table = await call(['account', 'list'], env)
  assert.equal(table.out.trimEnd().split('\n').length, 6)
  assert.match(table.out, /^address +account +enabled +quota +name\na0@example\.org +smith00000000 +yes +1 GiB +–\n/)
})

test('a generated password is shown once, and is what the directory got', async (t) => {
  const { env, answers } = await platform(t)
  let got: string | undefined
  await answers(addAccount, ({ address, password }) => {
    got = password
    return account(address)
  })
  const { status, out } = await call(['account', 'add', 'smith@example.org', '--generate-password', '--json'], env)
  assert.equal(status, 0)
  assert.ok(got !== undefined && got.length >= 16)
  assert.equal(JSON.parse(out).password, got)
})

test('a password comes from standard input, and the bin runs under the pinned Node', async (t) => {
  const { env, answers } = await platform(t)
  let got: string | undefined
  await answers(addAccount, ({ address, password }) => {
    got = password
    return account(address)
  })
  const bin = fileURLToPath(new URL('../bin/postbus.mjs', import.meta.url))
  const child = spawn(process.execPath, [bin, 'account', 'add', 'smith@example.org', '--password-stdin'], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill())
  child.stdin.end('correct horse\r\n')
  const [out] = await Promise.all([text(child.stdout), new Promise((resolve) => child.once('exit', resolve))])
  assert.equal(child.exitCode, 0)
  assert.equal(got, 'correct horse')
  assert.doesNotMatch(out, /correct/)
})

test('a refusal is told in the directory’s words and ends with 1', async (t) => {
  const { env, answers } = await platform(t)
  await answers(addAccount, () => {
    throw new RequestRefused('exists', 'address: smith@example.org exists (alias)')
  })
  const { status, out, err } = await call(['account', 'add', 'smith@example.org', '--generate-password'], env)
  assert.deepEqual([status, out], [1, ''])
  assert.equal(err, 'postbus account add: address: smith@example.org exists (alias) (exists)\n')
})

test('members of a list come and go one by one; a list is not an alias', async (t) => {
  const { env, answers } = await platform(t)
  const team: Alias = {
    ...{ address: 'team@example.org', kind: 'list', owner: 'smith@example.org', createdAt },
    members: ['a@far.test', 'B@far.test'],
  }
  const removed: string[] = []
  await answers(listAliases, ({ address }) => ({ aliases: address === team.address ? [team] : [], more: false }))
  await answers(changeAlias, ({ members }) => ({ ...team, members: members ?? team.members }))
  await answers(removeAlias, ({ address }) => {
    removed.push(address)
    return team
  })
  const change = ['list', 'change', 'team@example.org', '--json']
  const changed = await call([...change, '--add-member', 'c@far.test', '--remove-member', 'b@FAR.test'], env)
  assert.deepEqual(JSON.parse(changed.out).members, ['a@far.test', 'c@far.test'])
  assert.equal((await call([...change, '--remove-member', 'nobody@far.test'], env)).status, 2)
  const wrong = await call(['group', 'remove', 'team@example.org'], env)
  assert.equal(wrong.status, 1)
  assert.match(wrong.err, /not a group, it is of kind list/)
  assert.deepEqual(removed, [])
})

test('called wrongly is 2, with the way out', async () => {
  const cases: [string[], RegExp][] = [
    [['acount', 'list'], /no command 'acount list'/],
    [['account'], /postbus account add/],
    [['account', 'add'], /wanted: <address>/],
    [['account', 'add', 'a@b.test', '--nonsense'], /nonsense/],
    [['account', 'list', '--data', '/nonexistent'], /no postbus\.json in \/nonexistent/],
    [['--json', '--data', '/nonexistent', 'account', 'list'], /no postbus\.json in \/nonexistent/],
    [['--data=/nonexistent', 'account', 'list'], /no postbus\.json in \/nonexistent/],
    [['doctor', '--offline', '/nonexistent'], /\/nonexistent is no data directory/],
    [['doctor', '--dns-server', 'no server'], /dns-server/],
  ]
  for (const [argv, said] of cases) {
    const { status, out, err } = await call(argv)
    assert.deepEqual([status, out], [2, ''], argv.join(' '))
    assert.match(err, said)
  }
})

test('settings of a cluster that are missing or wrong are named in one line', async () => {
  const wanted = 'DIRECTORY_DATABASE, MAILSTORE_DATABASE, CUSTODY_DATABASE, DELIVERY_DATABASE, SPOOL, BLOBS'
  const { status, err } = await call(['migrate', 'cluster', '--data', '/nonexistent'])
  assert.equal(status, 1)
  assert.equal(err, `postbus migrate cluster: say where the cluster keeps what it has: ${wanted} not set\n`)
  const known = Object.fromEntries(wanted.split(', ').map((name) => [name, 'postgres://h/d']))
  const wrong = await call(['migrate', 'cluster', '--data', '/nonexistent'], { ...known, CUSTODY_DATABASE: 'books.db' })
  assert.match(wrong.err, /: CUSTODY_DATABASE must be postgres:[^\n]+\n$/)
})

test('what the options say is checked before anybody is asked', async (t) => {
  const { env } = await platform(t)
  const wrong = [
    ['account', 'add', 'a@b.test', '--password', 'x', '--generate-password'],
    ['account', 'add', 'a@b.test', '--quota', 'much'],
    ['account', 'change', 'a@b.test', '--enable', '--disable'],
    ['alias', 'add', 'a@b.test', '--kind', 'nothing'],
    ['domain', 'add', 'a.test', '--alias-of', 'b.test', '--rewrite-to', 'c.test'],
    ['domain', 'change', 'a.test', '--separator', 'toolong'],
    ['dkim', 'add', 'a.test', '--algorithm', 'dsa'],
    ['dkim', 'add', 'a.test', '--selector', 's'],
    ['dkim', 'add', 'a.test', '--import', '/nonexistent'],
    ['where', 'not-a-queue-id'],
    ['transport', 'add', 'x', '*', '--discard', '--direct'],
    ['transport', 'add', 'x', '*', '--smarthost', 'no-port'],
    ['transport', 'add', 'x', '*', '--fail', 'no status'],
    ['transport', 'add', 'x', '*', '--fail', '4.0.0 not for good'],
    ['transport', 'add', 'x', '*', '--discard', '--username', 'us'],
    ['transport', 'add', 'Not A Name', '*'],
    ['transport', 'change', 'x', '--lifetime', 'long'],
    ['where', 'a@b.test', '--limit', '0'],
    ['where', 'a@b.test', '--after', 'yesterday'],
  ]
  for (const argv of wrong) assert.equal((await call(argv, env)).status, 2, argv.join(' '))
})

test('help is on standard output, and is no failure', async () => {
  for (const argv of [[], ['--help'], ['help'], ['account', '--help'], ['account', 'add', '--help']]) {
    const { status, out, err } = await call(argv)
    assert.deepEqual([status, err], [0, ''], argv.join(' '))
    assert.match(out, /postbus account add <address>/)
  }
})

test('nobody there is 69', async (t) => {
  const { env, nats } = await platform(t)
  const alone = await call(['account', 'list'], env)
  assert.equal(alone.status, 69)
  await nats.kill()
  const { status, err } = await call(['account', 'list'], env)
  assert.equal(status, 69)
  assert.match(err, /is Postbus running\?/)
})
