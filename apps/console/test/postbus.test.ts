/** The command through its front door, on a real bus, with a directory and a custody that say what the test wants. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import { connectBus, RequestRefused } from '@postbus/bus'
import {
  type Account,
  activateSigningKey,
  addAccount,
  addDomain,
  addSigningKey,
  addTransport,
  type Alias,
  changeAlias,
  changeTransport,
  type DkimKey,
  explainRoute,
  findMessages,
  listAccounts,
  listAliases,
  listSigningKeys,
  type ListedTransport,
  listTransports,
  type RequestContract,
  removeAlias,
  removeSigningKey,
  where,
} from '@postbus/contracts'
import { startNatsServer, startDnsServer } from '@postbus/testkit'
import { pino } from 'pino'
import type { z } from 'zod'

import { postbus } from '../src/cli/postbus.ts'

type Fake = <I extends z.ZodType, O extends z.ZodType>(
  contract: RequestContract<I, O>,
  handler: (input: z.output<I>) => z.input<O>,
) => Promise<void>

const createdAt = '2026-01-05T10:00:00.000Z'
const account = (address: string, more: Partial<Account> = {}): Account => ({
  ...{ account: 'smith00000000', address, name: '', enabled: true, quotaBytes: null, createdAt },
  ...{ recipientsPerHour: null, messagesPerHour: null, ...more },
})

const dkimKey = (selector: string, more: Partial<DkimKey> = {}): DkimKey => ({
  ...{ domain: 'example.org', selector, algorithm: 'rsa', bits: 2048, state: 'prepared', createdAt },
  recordName: `${selector}._domainkey.example.org`,
  record: `v=DKIM1; k=rsa; p=${'A'.repeat(300)}${selector}`,
  ...more,
})

async function platform(t: TestContext) {
  const nats = await startNatsServer(t)
  const data = mkdtempSync(join(tmpdir(), 'postbus-cli-'))
  const operatorNkeyFile = join(data, 'operator.nk')
  writeFileSync(operatorNkeyFile, nats.seeds.operator)
  writeFileSync(join(data, 'postbus.json'), JSON.stringify({ natsUrl: nats.url, operatorNkeyFile }))
  const log = pino({ level: 'silent' })
  const buses = await Promise.all(
    (['directory', 'custody', 'delivery'] as const).map((party) =>
      connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log }),
    ),
  )
  nats.defer(async () => {
    await Promise.all(buses.map((bus) => bus.close()))
    rmSync(data, { recursive: true, force: true })
  })
  const [directory, custody, delivery] = buses
  const answers: Fake = async (contract, handler) => {
    const { answerer } = contract
    const bus = answerer === 'custody' ? custody : answerer === 'delivery' ? delivery : directory
    await bus?.answer(contract, async (input) => handler(input))
  }
  return { data, env: { NATS_URL: nats.url, NATS_NKEY_FILE: operatorNkeyFile }, answers, nats }
}

async function call(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const written = { out: '', err: '' }
  const status = await postbus(argv, {
    env,
    stdout: { write: (chunk) => (written.out += chunk) },
    stderr: { write: (chunk) => (written.err += chunk) },
  })
  return { status, ...written }
}

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

test('new DKIM keys are printed as a zone file takes them, with what to do next', async (t) => {
  const { data, env, answers } = await platform(t)
  const asked: unknown[] = []
  await answers(addSigningKey, (input) => {
    asked.push(input)
    return { keys: [dkimKey('202601r')] }
  })
  await answers(listSigningKeys, () => ({
    keys: [dkimKey('old', { state: 'active' }), dkimKey('older', { state: 'retired' })],
    more: false,
  }))
  const { status, out } = await call(['dkim', 'add', 'example.org'], env)
  assert.equal(status, 0)
  const [, first, second] = out.split('\n')
  const [, string] = /^202601r\._domainkey\.example\.org\. IN TXT \( "([^"]+)"$/.exec(first ?? '') ?? []
  const [, rest] = /^ {4}"([^"]+)" \)$/.exec(second ?? '') ?? []
  assert.equal(string?.length, 255)
  assert.equal(`${string}${rest}`, dkimKey('202601r').record)
  assert.match(out, new RegExp(`^; value {2}${dkimKey('202601r').record}$`, 'm'))
  assert.match(out, /postbus dkim activate example\.org 202601r$/m)

  const pem = join(data, 'key.pem')
  writeFileSync(pem, 'a PEM')
  await call(['dkim', 'add', 'example.org', '--algorithm', 'ed25519', '--selector', 's'], env)
  await call(['dkim', 'add', 'example.org', '--import', pem, '--selector', 's'], env)
  const rotated = await call(['dkim', 'rotate', 'example.org'], env)
  assert.match(rotated.out, /Leave the record of old published for 7 days/)
  const common = { domain: 'example.org' }
  assert.deepEqual(asked, [
    { ...common, algorithms: ['rsa', 'ed25519'] },
    { ...common, algorithms: ['ed25519'], selector: 's' },
    { ...common, algorithms: ['rsa', 'ed25519'], privateKey: 'a PEM', selector: 's' },
    { ...common, algorithms: ['rsa'] },
  ])
  const record = await call(['dkim', 'record', 'example.org', '--json'], env)
  assert.deepEqual(
    JSON.parse(record.out).map(({ selector }: DkimKey) => selector),
    ['old', 'older'],
  )
})

test('a DKIM key is activated when DNS shows its record, or when forced', async (t) => {
  const { env, answers } = await platform(t)
  const zone = '$ORIGIN example.org.\n@ SOA ns root 1 3600 600 86400 0\n'
  const dns = await startDnsServer(t, zone)
  const key = dkimKey('new')
  const publish = (...strings: string[]): void =>
    dns.load(`${zone}${key.recordName}. 0 TXT ${strings.map((text) => JSON.stringify(text)).join(' ')}\n`)
  const activated: string[] = []
  await answers(listSigningKeys, () => ({ keys: [key], more: false }))
  await answers(activateSigningKey, ({ selector }) => {
    activated.push(selector)
    return { key: dkimKey('new', { state: 'active' }), retired: dkimKey('old', { state: 'retired' }) }
  })
  const activate = (...more: string[]) =>
    call(['dkim', 'activate', 'example.org', 'new', '--dns-server', dns.address, ...more], env)

  const absent = await activate()
  assert.equal(absent.status, 1)
  assert.match(absent.err, /new\._domainkey\.example\.org is not published \(notPublished\)/)
  publish('v=DKIM1; p=other')
  assert.match((await activate()).err, /another record is there: v=DKIM1; p=other/)
  dns.fault('*', 'servfail')
  const unknown = await activate()
  assert.deepEqual([unknown.status, activated.length], [1, 0])
  assert.match(unknown.err, /DNS does not say .*SERVFAIL/)
  await activate('--force')
  assert.deepEqual(activated, ['new'])

  dns.fault('*', null)
  publish(...(key.record.match(/.{1,255}/g) ?? []))
  const { status, out } = await activate()
  assert.equal(status, 0)
  assert.match(out, /^new signs for example\.org now\nLeave the record of old published/)
  assert.equal((await activate('extra')).status, 2)
  assert.equal((await call(['dkim', 'activate', 'example.org', 'none', '--dns-server', dns.address], env)).status, 1)
  assert.equal((await call(['dkim', 'activate', 'example.org', 'new', '--dns-server', 'ns.test'], env)).status, 2)
})

test('DKIM keys are listed to the last page, of one domain or all; a removal says what can go', async (t) => {
  const { env, answers } = await platform(t)
  const all = ['a', 'b', 'c'].map((selector) => dkimKey(selector, { state: 'active', activatedAt: createdAt }))
  const domains: unknown[] = []
  await answers(listSigningKeys, ({ domain, after }) => {
    domains.push(domain)
    const rest = all.filter(({ selector }) => selector > (after?.selector ?? ''))
    return { keys: rest.slice(0, 2), more: rest.length > 2 }
  })
  await answers(removeSigningKey, ({ selector, force }) => dkimKey(`${selector}${force}`))
  const list = await call(['dkim', 'list'], env)
  assert.equal(list.out.trimEnd().split('\n').length, 4)
  assert.match(list.out, /^example\.org +a +rsa +2048 +active +2026-01-05T10:00:00\.000Z$/m)
  await call(['dkim', 'list', 'example.org'], env)
  assert.deepEqual(domains, [undefined, undefined, 'example.org', 'example.org'])
  const removed = await call(['dkim', 'remove', 'example.org', 'a', '--force'], env)
  assert.match(removed.out, /removed atrue; atrue\._domainkey\.example\.org can go/)
})

test('where shows every recipient, and a peer’s words cannot drive the terminal', async (t) => {
  const { env, answers } = await platform(t)
  const queueId = '01J9ZK3V8Q6X4T2M7N5R1C0B9A'
  await answers(where, (input): z.input<typeof where.output> => {
    if (input.queueId !== queueId) throw new RequestRefused('noSuchMessage', 'queueId: never seen, or long forgotten')
    return {
      ...{ queueId, origin: 'submission', acceptedAt: createdAt, reversePath: '', size: 2048 },
      originals: [
        { recipient: { forwardPath: 'jones@example.org' }, routed: true },
        { recipient: { forwardPath: 'late@example.org' }, routed: false },
      ],
      recipients: [
        {
          ...{
            n: '0123456789abcdef',
            original: 0,
            forwardPath: 'a@far.test',
            state: 'deferred',
            attempt: 2,
            incarnation: 0,
          },
          ...{ at: createdAt, detail: '450 \u001b[31mtry later', nextAttemptAt: '2026-01-05T11:00:00.000Z' },
        },
      ],
    }
  })
  const { status, out } = await call(['where', queueId.toLowerCase()], env)
  assert.equal(status, 0)
  assert.match(out, /^from +<>$/m)
  assert.match(out, /^late@example\.org +not yet routed/m)
  assert.match(
    out,
    /^a@far\.test +deferred +2026-01-05T10:00:00\.000Z +450 \?\[31mtry later +next 2026-01-05T11:00:00\.000Z$/m,
  )
  assert.equal((await call(['where', '01J9ZK3V8Q6X4T2M7N5R1C0B9B'], env)).status, 1)
})

const bulk: ListedTransport = {
  ...{
    name: 'bulk',
    match: { domain: '*', sender: '@bulk.test' },
    policy: { concurrency: 3, tls: 'implicit' },
    createdAt,
  },
  action: { kind: 'smarthost', host: 'smart.test', port: 465, username: 'us', hasPassword: true },
}

test('a transport rule says what the options say, and no password is shown', async (t) => {
  const { env, answers } = await platform(t)
  const seen: unknown[] = []
  await answers(addTransport, (input) => {
    seen.push(input)
    return bulk
  })
  await answers(changeTransport, (input) => {
    seen.push(input)
    return bulk
  })
  const add = ['transport', 'add', 'bulk', '*', '--sender', '@bulk.test', '--smarthost', 'smart.test:465']
  const credentials = ['--username', 'us', '--password', 'correct horse']
  const added = await call(
    [...add, ...credentials, '--tls', 'implicit', '--lifetime', '12h', '--concurrency', '3'],
    env,
  )
  assert.deepEqual([added.status, added.err], [0, ''])
  assert.match(added.out, /^way +smarthost smart\.test:465 as us$/m)
  assert.doesNotMatch(added.out, /correct/)
  await call(['transport', 'add', 'gone', '.gone.test', '--fail', '5.1.6 moved away'], env)
  await call(['transport', 'add', 'slow', 'slow.test', '--per-minute', '10'], env)
  await call(['transport', 'change', 'bulk', '--tls', 'default', '--concurrency', 'none', '--lmtp', '[::1]:24'], env)
  assert.deepEqual(seen, [
    {
      ...{ name: 'bulk', match: { domain: '*', sender: '@bulk.test' } },
      action: { kind: 'smarthost', host: 'smart.test', port: 465, username: 'us', password: 'correct horse' },
      policy: { concurrency: 3, lifetimeS: 43_200, tls: 'implicit' },
    },
    {
      ...{ name: 'gone', match: { domain: '.gone.test' }, policy: {} },
      action: { kind: 'fail', status: '5.1.6', reason: 'moved away' },
    },
    { name: 'slow', match: { domain: 'slow.test' }, action: { kind: 'mx' }, policy: { perMinute: 10 } },
    { name: 'bulk', action: { kind: 'lmtp', host: '::1', port: 24 }, policy: { concurrency: null, tls: null } },
  ])
})

test('transport rules are listed to the last page', async (t) => {
  const { env, answers } = await platform(t)
  const all = ['a', 'b', 'c'].map((name) => ({ ...bulk, name }))
  await answers(listTransports, ({ after = '' }) => {
    const rest = all.filter(({ name }) => name > after)
    return { transports: rest.slice(0, 2), more: rest.length > 2 }
  })
  const { out } = await call(['transport', 'list'], env)
  assert.equal(out.trimEnd().split('\n').length, 4)
  assert.match(out, /^c +\* +@bulk\.test +smarthost smart\.test:465 as us +concurrency=3 tls=implicit$/m)
})

test('transport test says which rule is about an address, and which hosts would be tried', async (t) => {
  const { env, answers } = await platform(t)
  await answers(explainRoute, ({ recipient, sender }): z.input<typeof explainRoute.output> => {
    assert.deepEqual([recipient, sender], ['ann@far.test', 'x@bulk.test'])
    return {
      ...{ rule: 'bulk', way: 'hosts', tls: 'required', username: 'us', key: 'smtp:smart.test:587 (bulk)', policy: {} },
      hosts: [{ name: 'smart.test', address: '192.0.2.1', port: 587 }],
    }
  })
  const { out } = await call(['transport', 'test', 'ann@far.test', '--sender', 'x@bulk.test'], env)
  assert.match(out, /^rule +bulk$/m)
  assert.match(out, /^smart\.test +192\.0\.2\.1 +587$/m)
})

test('where lists the messages with a Message-ID, and those from and to an address, newest first and each once', async (t) => {
  const { env, answers } = await platform(t)
  const asked: object[] = []
  const message = (last: string, minute: number) => ({
    ...{ queueId: `01J9ZK3V8Q6X4T2M7N5R1C0B9${last}`, reversePath: 'smith@example.org', origin: 'submission' as const },
    ...{ acceptedAt: `2026-01-05T10:0${minute}:00.000Z`, recipients: 2, open: 1, messageId: '<a@example.org>' },
  })
  await answers(findMessages, ({ limit, ...input }): z.input<typeof findMessages.output> => {
    asked.push(input)
    if (input.messageId !== undefined) return { messages: [], more: false }
    return input.sender === undefined
      ? { messages: [message('C', 3), message('A', 1)].slice(0, limit), more: limit < 2 }
      : { messages: [message('B', 2), message('A', 1)].slice(0, limit), more: limit < 2 }
  })
  const ids = (out: string) => [...out.matchAll(/01J9ZK3V8Q6X4T2M7N5R1C0B9(.)/g)].map(([, last]) => last)
  const both = await call(['where', 'smith@example.org', '--after', '2026-01-05T10:00Z'], env)
  assert.deepEqual([both.status, ids(both.out)], [0, ['C', 'B', 'A']])
  assert.doesNotMatch(both.out, /older/)
  const one = await call(['where', 'smith@example.org', '--limit', '1', '--json'], env)
  assert.deepEqual([ids(one.out), JSON.parse(one.out).more], [['C'], true])
  assert.match((await call(['where', '<none@example.org>'], env)).out, /no message known/)
  const after = '2026-01-05T10:00:00.000Z'
  assert.deepEqual(
    [asked.slice(0, 2), asked.at(-1)],
    [
      [
        { sender: 'smith@example.org', after },
        { recipient: 'smith@example.org', after },
      ],
      { messageId: '<none@example.org>' },
    ],
  )
})

test('where shows what others reported later, in their words and as theirs', async (t) => {
  const { env, answers } = await platform(t)
  const queueId = '01J9ZK3V8Q6X4T2M7N5R1C0B9A'
  const report = '01J9ZK3V8Q6X4T2M7N5R1C0B9Z'
  await answers(where, (): z.input<typeof where.output> => ({
    ...{ queueId, origin: 'submission', acceptedAt: createdAt, reversePath: 'smith@example.org', size: 1 },
    originals: [{ recipient: { forwardPath: 'info@example.org' }, routed: true, report }],
    recipients: [
      {
        ...{ n: '0123456789abcdef', original: 0, forwardPath: 'a@far.test', state: 'relayed', attempt: 1 },
        ...{ incarnation: 0, at: createdAt, detail: 'mx.far.test: 250 ok' },
        laterReports: [{ report, at: createdAt, action: 'failed', reason: '550 full', reportingMta: 'in.far.test' }],
      },
    ],
  }))
  const { out } = await call(['where', queueId], env)
  assert.match(out, /^info@example\.org +passed on .*reported in 01J9ZK3V8Q6X4T2M7N5R1C0B9Z$/m)
  assert.match(out, /^a@far\.test +relayed/m)
  assert.match(out, /^a@far\.test +said: failed +\S+ +550 full +in\.far\.test +in 01J9ZK3V8Q6X4T2M7N5R1C0B9Z$/m)
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
