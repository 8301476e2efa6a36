import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import type { Bus } from '@postbus/bus'
import {
  addAccount,
  addAlias,
  addDomain,
  addTransport,
  authenticate,
  changeAccount,
  changeAlias,
  changeDomain,
  changeTransport,
  checkSender,
  describeAccount,
  DirectoryChanged,
  listAccounts,
  listAliases,
  listDomains,
  listTransports,
  localDomains,
  openAccount,
  removeAccount,
  removeAlias,
  removeDomain,
  removeTransport,
  renewToken,
  resolveAddresses,
  spendSending,
  tokenKeys,
  transports,
} from '@postbus/contracts'
import { createLocalJWKSet, jwtVerify } from 'jose'

import { type Platform, platform } from './harness.ts'

const PASSWORD = 'correct horse'

/** example.org with smith and jones, example.net the same people. */
async function example(
  t: TestContext,
  settings?: Record<string, string>,
): Promise<Platform & { operator: Bus; log: unknown[] }> {
  const { bus, directory } = await platform(t)
  const { lines } = await directory(settings)
  const operator = await bus('operator')
  await operator.request(addDomain, { domain: 'Example.ORG' })
  await operator.request(addDomain, { domain: 'example.net', kind: 'alias', target: 'example.org' })
  for (const name of ['smith', 'jones']) {
    await operator.request(addAccount, { address: `${name}@example.org`, password: PASSWORD })
  }
  return { bus, directory, operator, log: lines }
}

const refusedAs = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, text)
  return true
}

test('the directory is administered: domains, accounts and aliases come, change, are listed and go', async (t) => {
  const { operator } = await example(t)
  const domain = await operator.request(changeDomain, {
    domain: 'example.org',
    catchAll: 'Smith@example.org',
    subaddressSeparator: '-',
  })
  assert.deepEqual(
    { ...domain, createdAt: '' },
    { domain: 'example.org', kind: 'local', subaddressSeparator: '-', catchAll: 'Smith@example.org', createdAt: '' },
  )
  const changed = await operator.request(changeAccount, {
    address: 'JONES@Example.org',
    name: 'Jones',
    quotaBytes: 1000,
  })
  assert.equal(changed.name, 'Jones')
  assert.equal(changed.quotaBytes, 1000)
  await operator.request(addAlias, { address: 'Info@example.org', kind: 'alias', members: ['smith@example.org'] })
  const list = await operator.request(changeAlias, {
    address: 'info@example.org',
    kind: 'list',
    owner: 'smith@example.org',
  })
  assert.equal(list.kind, 'list')

  const domains = await operator.request(listDomains, { limit: 1 })
  assert.deepEqual([domains.domains.map((one) => one.domain), domains.more], [['example.net'], true])
  const rest = await operator.request(listDomains, { after: 'example.net' })
  assert.deepEqual([rest.domains.map((one) => one.domain), rest.more], [['example.org'], false])
  const first = await operator.request(listAccounts, { limit: 1, domain: 'example.org' })
  assert.deepEqual([first.accounts.map((one) => one.address), first.more], [['jones@example.org'], true])
  const second = await operator.request(listAccounts, { after: 'jones@example.org' })
  assert.deepEqual([second.accounts.map((one) => one.address), second.more], [['smith@example.org'], false])
  const aliases = await operator.request(listAliases, {})
  assert.deepEqual(
    aliases.aliases.map(({ address, members }) => [address, members]),
    [['info@example.org', ['smith@example.org']]],
  )

  await assert.rejects(operator.request(removeDomain, { domain: 'example.org' }), refusedAs('inUse', /used by/))
  await operator.request(removeAlias, { address: 'info@example.org' })
  for (const name of ['smith', 'jones']) await operator.request(removeAccount, { address: `${name}@example.org` })
  await assert.rejects(operator.request(removeDomain, { domain: 'example.org' }), refusedAs('inUse', /example\.net/))
  await operator.request(removeDomain, { domain: 'example.net' })
  await operator.request(removeDomain, { domain: 'example.org' })
  assert.deepEqual((await operator.request(listDomains, {})).domains, [])
})

test("where an address of others leads is kept as it was spelt, without the root's dot", async (t) => {
  const { operator } = await example(t)
  const members = ['Far@Far.Test.', '"a."@far.test']
  const alias = await operator.request(addAlias, { address: 'out@example.org', kind: 'alias', members })
  assert.deepEqual(alias.members, ['Far@Far.Test', '"a."@far.test'])
})

test('a refusal names the field', async (t) => {
  const { operator } = await example(t)
  await operator.request(addAlias, { address: 'info@example.org', kind: 'alias', members: ['smith@example.org'] })
  const account = (address: string, more = {}) => operator.request(addAccount, { address, ...more })
  const alias = (address: string, more: object) =>
    operator.request(addAlias, { address, kind: 'alias', members: ['smith@example.org'], ...more })

  await assert.rejects(operator.request(addDomain, { domain: 'EXAMPLE.org' }), refusedAs('exists', /^domain:/))
  await assert.rejects(operator.request(addDomain, { domain: 'not a domain' }), refusedAs('invalid', /^domain:/))
  await assert.rejects(
    operator.request(addDomain, { domain: 'a.test', kind: 'alias' }),
    refusedAs('invalid', /^target:/),
  )
  await assert.rejects(
    operator.request(addDomain, { domain: 'a.test', kind: 'alias', target: 'b.test' }),
    refusedAs('noSuchDomain', /^target:/),
  )
  await assert.rejects(
    operator.request(changeDomain, { domain: 'example.org', subaddressSeparator: '@' }),
    refusedAs('invalid', /^subaddressSeparator:/),
  )
  await assert.rejects(
    operator.request(changeDomain, { domain: 'example.org', catchAll: 'nobody@example.org' }),
    refusedAs('invalid', /^catchAll:/),
  )
  await assert.rejects(account('smith@elsewhere.test'), refusedAs('noSuchDomain', /^address:/))
  await assert.rejects(account('smith@example.net'), refusedAs('invalid', /^address:/))
  await assert.rejects(account('SMITH@example.org'), refusedAs('exists', /account/))
  await assert.rejects(account('info@example.org'), refusedAs('exists', /alias/))
  await assert.rejects(account('x@example.org', { password: 'short' }), refusedAs('invalid', /^password:/))
  await assert.rejects(
    account('x@example.org', { password: 'control\u0007character' }),
    refusedAs('invalid', /^password:/),
  )
  await assert.rejects(alias('smith@example.org', {}), refusedAs('exists', /account/))
  await assert.rejects(alias('x@example.org', { members: [] }), refusedAs('invalid', /^members:/))
  await assert.rejects(alias('x@example.org', { members: ['X@EXAMPLE.ORG'] }), refusedAs('invalid', /^members:/))
  await assert.rejects(alias('x@example.org', { kind: 'list' }), refusedAs('invalid', /^owner:/))
  await assert.rejects(alias('x@example.org', { kind: 'discard' }), refusedAs('invalid', /^members:/))
  await assert.rejects(
    operator.request(changeAccount, { address: 'x@example.org' }),
    refusedAs('noSuchAccount', /^address:/),
  )
  await assert.rejects(
    operator.request(removeAlias, { address: 'smith@example.org' }),
    refusedAs('noSuchAlias', /^address:/),
  )
})

test('a login is let in under any case and through an alias domain, with a token that the published keys verify', async (t) => {
  const { bus, log } = await example(t)
  const [submission, mailstore, imap] = [await bus('submission'), await bus('mailstore'), await bus('imap')]
  for (const username of ['smith@example.org', 'SMITH@Example.Net']) {
    const login = await submission.request(authenticate, {
      username,
      password: PASSWORD,
      clientAddress: '192.0.2.1',
      service: 'submission',
    })
    assert.ok(login.kind === 'accepted', login.kind)
    assert.equal(login.address, 'smith@example.org')
    const keys = await mailstore.request(tokenKeys, {})
    const verify = createLocalJWKSet({ keys: keys.keys as never })
    const { payload } = await jwtVerify(login.token, verify, { issuer: 'postbus-directory', audience: 'mailstore' })
    assert.equal(payload.sub, login.account)
    assert.equal(
      keys.keys.some((key) => 'd' in key),
      false,
      'a private key was published',
    )
    const renewed = await imap.request(renewToken, { token: login.token })
    assert.equal((await jwtVerify(renewed.token, verify)).payload.sub, login.account)
  }
  assert.doesNotMatch(JSON.stringify(log), new RegExp(PASSWORD))
})

test('a changed password counts at once, in every directory process, and ends the renewing of tokens', async (t) => {
  const { bus, directory, operator } = await example(t)
  await directory()
  const imap = await bus('imap')
  const login = (password: string) =>
    imap.request(authenticate, { username: 'smith@example.org', password, clientAddress: '192.0.2.1', service: 'imap' })
  // Often enough that both processes remember the login.
  const tokens: string[] = []
  for (let index = 0; index < 20; index++) {
    const accepted = await login(PASSWORD)
    assert.ok(accepted.kind === 'accepted')
    tokens.push(accepted.token)
  }
  await operator.request(changeAccount, { address: 'smith@example.org', password: 'another password' })
  for (let index = 0; index < 4; index++) assert.equal((await login(PASSWORD)).kind, 'refused')
  assert.equal((await login('another password')).kind, 'accepted')
  for (const token of tokens.slice(0, 4)) {
    await assert.rejects(imap.request(renewToken, { token }), refusedAs('tokenInvalid', /token/))
  }
})

test('a disabled account takes no mail, logs in no more, and its tokens end', async (t) => {
  const { bus, operator } = await example(t)
  const [imap, router] = [await bus('imap'), await bus('router')]
  const credentials = {
    username: 'smith@example.org',
    password: PASSWORD,
    clientAddress: '192.0.2.1',
    service: 'imap' as const,
  }
  const login = await imap.request(authenticate, credentials)
  assert.ok(login.kind === 'accepted')
  await operator.request(changeAccount, { address: 'smith@example.org', enabled: false })
  assert.equal((await imap.request(authenticate, credentials)).kind, 'refused')
  await assert.rejects(imap.request(renewToken, { token: login.token }), refusedAs('tokenInvalid', /token/))
  const { resolutions } = await router.request(resolveAddresses, { addresses: ['smith@example.org'] })
  assert.deepEqual(resolutions, [{ kind: 'disabled' }])
})

test('an operator gets a token for one account, also a disabled one, and the log says who', async (t) => {
  const { bus, operator, log } = await example(t)
  const by = 'postbus ann'
  const opened = await operator.request(openAccount, { address: 'Smith@Example.org', by })
  const { keys } = await (await bus('mailstore')).request(tokenKeys, {})
  const keySet = createLocalJWKSet({ keys: keys as never[] })
  const { payload } = await jwtVerify(opened.token, keySet, { audience: 'mailstore' })
  assert.equal(payload.sub, opened.account)
  await operator.request(changeAccount, { address: 'smith@example.org', enabled: false })
  const again = await operator.request(openAccount, { address: 'smith@example.org', by })
  assert.equal(again.account, opened.account)
  await assert.rejects(
    operator.request(openAccount, { address: 'nobody@example.org', by }),
    refusedAs('noSuchAccount', /nobody/),
  )
  assert.ok(JSON.stringify(log).includes(by))
})

test('unknown, disabled and wrong get the same answer; only the log says which', async (t) => {
  const { bus, operator, log } = await example(t)
  await operator.request(changeAccount, { address: 'jones@example.org', enabled: false })
  await operator.request(addAccount, { address: 'silent@example.org' })
  const imap = await bus('imap')
  const answers = []
  for (const [index, username] of [
    'smith@example.org',
    'jones@example.org',
    'silent@example.org',
    'green@example.org',
    'no address',
  ].entries()) {
    answers.push(
      await imap.request(authenticate, {
        username,
        password: 'wrong password',
        clientAddress: `192.0.2.${index}`,
        service: 'imap',
      }),
    )
  }
  for (const answer of answers) assert.deepEqual(answer, { kind: 'refused', delayMs: 250 })
  const causes = log.flatMap((line) => (line && typeof line === 'object' && 'cause' in line ? [line.cause] : []))
  assert.deepEqual(causes, ['wrongPassword', 'disabled', 'noPassword', 'noSuchAccount', 'noSuchAccount'])
  assert.doesNotMatch(JSON.stringify(log), /wrong password/)
})

test('resolution answers in the order asked, with a revision that grows with each change, which is hinted', async (t) => {
  const { bus, operator } = await example(t)
  const router = await bus('router')
  const hinted = Promise.withResolvers<number>()
  router.listen(DirectoryChanged, ({ revision }) => hinted.resolve(revision))
  const ask = () =>
    router.request(resolveAddresses, {
      addresses: ['Jones+x@example.net', 'info@example.org', 'a@far.test', 'postmaster'],
    })
  const before = await ask()
  assert.deepEqual(
    before.resolutions.map(({ kind }) => kind),
    ['account', 'unknown', 'remote', 'alias'],
  )
  await operator.request(addAlias, {
    address: 'info@example.org',
    kind: 'group',
    members: ['a@far.test'],
    owner: 'smith@example.org',
  })
  const after = await ask()
  assert.equal(after.revision, before.revision + 1)
  assert.equal(await hinted.promise, after.revision)
  assert.deepEqual(after.resolutions[1], {
    kind: 'list',
    name: 'info@example.org',
    members: ['a@far.test'],
    reversePath: 'smith@example.org',
  })
})

test('services are told what they need to know of accounts and domains', async (t) => {
  const { bus, operator } = await example(t)
  await operator.request(addDomain, { domain: 'aaa.test', kind: 'rewrite', target: 'example.org' })
  const [submission, mailstore] = [await bus('submission'), await bus('mailstore')]
  const { account } = await operator.request(changeAccount, { address: 'smith@example.org', quotaBytes: 5 })
  assert.deepEqual(await mailstore.request(describeAccount, { account }), {
    account,
    address: 'smith@example.org',
    quotaBytes: 5,
    enabled: true,
  })
  await assert.rejects(
    mailstore.request(describeAccount, { account: 'nobody000' }),
    refusedAs('noSuchAccount', /account/),
  )
  const { domains } = await submission.request(localDomains, {})
  assert.deepEqual(domains, ['example.org', 'aaa.test', 'example.net'])
  const addresses = ['smith@example.org', 'smith@aaa.test', 'jones@example.org']
  const { denied } = await submission.request(checkSender, { account, addresses })
  assert.deepEqual(denied, ['jones@example.org'])
})

test('sending limits are exact over all directory processes', async (t) => {
  const { bus, directory, operator } = await example(t)
  await directory()
  const submission = await bus('submission')
  const { account } = await operator.request(changeAccount, {
    address: 'smith@example.org',
    recipientsPerHour: 30,
    messagesPerHour: 100,
  })
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => submission.request(spendSending, { account, recipients: 2 })),
  )
  assert.equal(answers.filter(({ kind }) => kind === 'granted').length, 15)
  const refused = answers.find((answer) => answer.kind === 'refused')
  assert.ok(refused?.kind === 'refused' && refused.limit === 'recipients')
  assert.ok(refused.retryAfterMs > 58 * 60_000 && refused.retryAfterMs <= 60 * 60_000, String(refused.retryAfterMs))
})

test('the metrics count what happened', async (t) => {
  const { bus, directory } = await platform(t)
  const { metrics } = await directory()
  const imap = await bus('imap')
  await imap.request(authenticate, {
    username: 'a@b.test',
    password: 'wrong',
    clientAddress: '192.0.2.1',
    service: 'imap',
  })
  const text = await metrics.metrics()
  assert.match(text, /mail_directory_logins_total\{front_end="imap",result="refused"\} 1/)
  assert.match(text, /mail_directory_hash_seconds_count 1/)
  assert.match(text, /mail_directory_throttle_entries 3/)
})

test('a transport rule comes, changes and goes; only delivery reads its password', async (t) => {
  const { bus, operator, log } = await example(t)
  const delivery = await bus('delivery')
  const hints: number[] = []
  const hinted = Promise.withResolvers<void>()
  delivery.listen(DirectoryChanged, ({ revision }) => {
    hints.push(revision)
    hinted.resolve()
  })
  await delivery.request(transports, {})
  const smarthost = { kind: 'smarthost', host: 'smart.test', port: 587, username: 'us' } as const
  const added = await operator.request(addTransport, {
    ...{ name: 'bulk', match: { domain: '*', sender: '@Bücher.test' } },
    ...{ action: { ...smarthost, password: PASSWORD }, policy: { concurrency: 5 } },
  })
  assert.deepEqual(added.match, { domain: '*', sender: '@xn--bcher-kva.test' })
  assert.deepEqual(added.action, { ...smarthost, hasPassword: true })
  await hinted.promise
  const { transports: rules, revision } = await delivery.request(transports, {})
  assert.deepEqual(rules[0]?.action, { ...smarthost, password: PASSWORD })
  assert.ok(hints.includes(revision))

  const changed = await operator.request(changeTransport, {
    ...{ name: 'bulk', action: { ...smarthost, port: 465 }, policy: { concurrency: null, tls: 'implicit' } },
  })
  assert.deepEqual(
    [changed.action, changed.policy],
    [{ ...smarthost, port: 465, hasPassword: true }, { tls: 'implicit' }],
  )
  // A password belongs to the host it was given for.
  const moved = operator.request(changeTransport, { name: 'bulk', action: { ...smarthost, host: 'other.test' } })
  await assert.rejects(moved, refusedAs('invalid', /^password:/))

  assert.deepEqual((await operator.request(listTransports, {})).transports, [changed])
  assert.doesNotMatch(JSON.stringify([added, changed, log]), new RegExp(PASSWORD))
  await operator.request(removeTransport, { name: 'bulk' })
  assert.deepEqual((await operator.request(listTransports, { name: 'bulk' })).transports, [])
})

test('a transport rule that could not be obeyed is refused', async (t) => {
  const { operator } = await example(t)
  const add = (name: string, match: object, action: object, policy: object = {}) =>
    operator.request(addTransport, addTransport.input.parse({ name, match, action, policy }))
  const mx = { kind: 'mx' }
  await add('first', { domain: '.Far.test' }, mx)
  await assert.rejects(add('first', { domain: 'x.test' }, mx), refusedAs('exists', /^name:/))
  await assert.rejects(add('second', { domain: '.far.TEST' }, mx), refusedAs('exists', /first/))
  await assert.rejects(add('second', { domain: 'not a domain' }, mx), refusedAs('invalid', /^domain:/))
  await assert.rejects(add('second', { domain: '*', sender: 'Nobody' }, mx), refusedAs('invalid', /^sender:/))
  await assert.rejects(add('second', { domain: '*' }, mx, { tls: 'implicit' }), refusedAs('invalid', /^tls:/))
  const lmtp = { kind: 'lmtp', host: 'store.test', port: 25 }
  await assert.rejects(add('second', { domain: '*' }, lmtp), refusedAs('invalid', /^port:/))
  const smarthost = { kind: 'smarthost', host: 'smart.test', port: 587, username: 'us' }
  await assert.rejects(add('second', { domain: '*' }, smarthost), refusedAs('invalid', /^password:/))
  const secret = { ...smarthost, password: PASSWORD }
  await assert.rejects(add('second', { domain: '*' }, secret, { tls: 'none' }), refusedAs('invalid', /clear/))
})
