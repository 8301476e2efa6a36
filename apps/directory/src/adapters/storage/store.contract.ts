/** What every adapter of the directory's storage must do. An adapter's test calls this with a way to open its store. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import type {
  AccountRecord,
  AliasRecord,
  DirectoryStore,
  DkimKeyRecord,
  DomainRecord,
  Spending,
  TransportRecord,
} from '../../store.ts'

/** Opens the same storage again at each call: several processes. Cleans up after the test. */
export type OpenStores = (t: TestContext) => Promise<() => Promise<DirectoryStore>>

const createdAt = '2026-01-05T10:00:00.000Z'

export const domainRecord = (domain: string, more: Partial<DomainRecord> = {}): DomainRecord => ({
  ...{ domain, kind: 'local', target: null, subaddressSeparator: '+', catchAll: null, createdAt },
  ...more,
})

export const accountRecord = (localPart: string, more: Partial<AccountRecord> = {}): AccountRecord => ({
  ...{ account: `${localPart}00000000`, localPart, domain: 'example.org', name: '', enabled: true, quotaBytes: null },
  ...{ recipientsPerHour: null, messagesPerHour: null, credentialVersion: 1, createdAt },
  ...more,
})

export const aliasRecord = (localPart: string, members: string[], more: Partial<AliasRecord> = {}): AliasRecord => ({
  ...{ localPart, domain: 'example.org', kind: 'alias', members, owner: null, createdAt },
  ...more,
})

const dkimKeyRecord = (selector: string, more: Partial<DkimKeyRecord> = {}): DkimKeyRecord => ({
  ...{ domain: 'example.org', selector, algorithm: 'rsa', bits: 2048, state: 'prepared', privateKey: 'PEM' },
  ...{ publicKey: 'base64', createdAt, activatedAt: null, retiredAt: null, ...more },
})

const credential = (passwordHash: string) => ({
  passwordHash,
  scram: {
    salt: new Uint8Array([1, 0, 255]),
    iterations: 4096,
    storedKey: new Uint8Array(32).fill(2),
    serverKey: new Uint8Array(32).fill(3),
  },
})

export function storeContract(dialect: string, open: OpenStores): void {
  const guarantee = (name: string, run: (t: TestContext) => Promise<void>): void =>
    void test(`${dialect}: ${name}`, run)
  const opened = async (t: TestContext) => (await open(t))()

  guarantee('a change is whole or not at all, and raises the revision by one', async (t) => {
    const store = await opened(t)
    const before = await store.revision()
    const { revision } = await store.change((writer) => writer.insertDomain(domainRecord('example.org')))
    assert.equal(revision, before + 1)
    const failure = new Error('no')
    const failed = store.change(async (writer) => {
      await writer.insertDomain(domainRecord('example.com'))
      throw failure
    })
    await assert.rejects(failed, failure)
    assert.equal(await store.revision(), revision)
    assert.deepEqual(await store.domains(['example.com', 'example.org']), [domainRecord('example.org')])
  })

  guarantee('an address is one account or one alias, whoever tries to add another at the same time', async (t) => {
    const again = await open(t)
    const [one, two] = [await again(), await again()]
    await one.change((writer) => writer.insertDomain(domainRecord('example.org')))
    const results = await Promise.allSettled([
      one.change((writer) => writer.insertAccount(accountRecord('smith'))),
      two.change((writer) => writer.insertAlias(aliasRecord('smith', ['a@far.test']))),
    ])
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal((await one.names([{ domain: 'example.org', localPart: 'smith' }])).length, 1)
  })

  guarantee('DKIM keys are kept per domain, one of an algorithm active, and go with their domain', async (t) => {
    const store = await opened(t)
    const active = { state: 'active', activatedAt: createdAt } as const
    const rsa = dkimKeyRecord('b', active)
    const keys = [dkimKeyRecord('a'), rsa, dkimKeyRecord('c', { ...active, algorithm: 'ed25519', bits: 256 })]
    const other = dkimKeyRecord('a', { ...active, domain: 'example.net' })
    await store.change(async (writer) => {
      for (const domain of ['example.org', 'example.net']) await writer.insertDomain(domainRecord(domain))
      for (const key of [...keys, other]) await writer.insertDkimKey(key)
    })
    assert.deepEqual(await store.dkimKeyPage('example.org', { domain: '', selector: '' }, 9), keys)
    assert.deepEqual(await store.dkimKeyPage(null, { domain: 'example.net', selector: 'a' }, 2), keys.slice(0, 2))
    assert.deepEqual(await store.activeDkimKeys(['example.org', 'far.test']), [keys[2], rsa])
    await assert.rejects(store.change((writer) => writer.updateDkimKey(dkimKeyRecord('a', active))))
    const retired = { ...rsa, state: 'retired', retiredAt: createdAt } as const
    await store.change(async (writer) => {
      assert.match((await writer.userOfDomain('example.net')) ?? '', /key a/)
      await writer.updateDkimKey(retired)
      await writer.deleteDkimKey(dkimKeyRecord('c'))
      assert.equal(await writer.userOfDomain('example.org'), undefined)
    })
    assert.deepEqual(await store.dkimKey(rsa), retired)
    await store.change((writer) => writer.deleteDomain('example.org'))
    assert.deepEqual(await store.dkimKeyPage(null, { domain: '', selector: '' }, 9), [other])
  })

  guarantee('names come with what they stand for, members in order, the unknown left out', async (t) => {
    const store = await opened(t)
    const members = ['c@far.test', 'a@far.test', 'b@far.test']
    await store.change(async (writer) => {
      await writer.insertDomain(domainRecord('example.org'))
      await writer.insertAccount(accountRecord('smith'))
      await writer.insertAccount(accountRecord('off', { enabled: false }))
      await writer.insertAlias(aliasRecord('info', members))
      await writer.insertAlias(aliasRecord('team', members, { kind: 'list', owner: 'smith@example.org' }))
      await writer.insertAlias(aliasRecord('sink', [], { kind: 'discard' }))
    })
    const asked = ['smith', 'off', 'info', 'nobody', 'team', 'sink'].map((localPart) => ({
      domain: 'example.org',
      localPart,
    }))
    const found = await store.names([...asked, { domain: 'example.com', localPart: 'smith' }])
    const byName = Object.fromEntries(found.map((name) => [name.localPart, name]))
    const domain = 'example.org'
    assert.deepEqual(byName, {
      smith: { domain, localPart: 'smith', kind: 'account', account: 'smith00000000', enabled: true },
      off: { domain, localPart: 'off', kind: 'account', account: 'off00000000', enabled: false },
      info: { domain, localPart: 'info', kind: 'alias', owner: null, members },
      team: { domain, localPart: 'team', kind: 'list', owner: 'smith@example.org', members },
      sink: { domain, localPart: 'sink', kind: 'discard', owner: null, members: [] },
    })
  })

  guarantee('what is written is read back whole, changed and deleted', async (t) => {
    const store = await opened(t)
    const name = { domain: 'example.org', localPart: 'smith' }
    const domain = domainRecord('example.org', { catchAll: 'smith@example.org', subaddressSeparator: null })
    const account = accountRecord('smith', {
      name: 'Smith',
      quotaBytes: 2 ** 45,
      recipientsPerHour: 0,
      messagesPerHour: 7,
    })
    await store.change(async (writer) => {
      await writer.insertDomain(domainRecord('example.org'))
      await writer.updateDomain(domain)
      await writer.insertAccount(accountRecord('smith'))
      await writer.updateAccount(account)
      await writer.putCredential(account.account, credential('first'))
      await writer.putCredential(account.account, credential('second'))
      await writer.insertAlias(aliasRecord('info', ['a@far.test', 'b@far.test']))
      await writer.updateAlias(aliasRecord('info', ['c@far.test'], { kind: 'group', owner: 'smith@example.org' }))
    })
    assert.deepEqual(await store.domains(['example.org']), [domain])
    assert.deepEqual(await store.account(account.account), account)
    assert.deepEqual(await store.accountNamed(name), account)
    assert.deepEqual(await store.credential(account.account), credential('second'))
    assert.deepEqual(
      await store.alias({ domain: 'example.org', localPart: 'info' }),
      aliasRecord('info', ['c@far.test'], { kind: 'group', owner: 'smith@example.org' }),
    )
    await store.change(async (writer) => {
      assert.notEqual(await writer.userOfDomain('example.org'), undefined)
      await writer.deleteAccount(account.account)
      await writer.deleteAlias({ domain: 'example.org', localPart: 'info' })
      assert.equal(await writer.userOfDomain('example.org'), undefined)
      await writer.deleteDomain('example.org')
    })
    assert.deepEqual(await store.domains(['example.org']), [])
    assert.equal(await store.account(account.account), undefined)
    assert.equal(await store.credential(account.account), undefined)
    assert.deepEqual(await store.names([name, { domain: 'example.org', localPart: 'info' }]), [])
  })

  guarantee('a domain that others point to is in use', async (t) => {
    const store = await opened(t)
    await store.change(async (writer) => {
      await writer.insertDomain(domainRecord('example.org'))
      await writer.insertDomain(
        domainRecord('example.net', { kind: 'alias', target: 'example.org', subaddressSeparator: null }),
      )
      assert.equal(await writer.userOfDomain('example.org'), 'example.net')
      assert.equal(await writer.userOfDomain('example.net'), undefined)
    })
  })

  guarantee('pages go on after the last name, in order, each name once', async (t) => {
    const store = await opened(t)
    const locals = ['d', 'a', 'c', 'b', 'e']
    await store.change(async (writer) => {
      for (const domain of ['b.test', 'a.test']) {
        await writer.insertDomain(domainRecord(domain))
        for (const localPart of locals) {
          await writer.insertAccount(
            accountRecord(localPart, { domain, account: `${localPart}${domain.slice(0, 1)}000000` }),
          )
          await writer.insertAlias(aliasRecord(`${localPart}-alias`, ['x@far.test'], { domain }))
        }
        await writer.insertAlias(aliasRecord('z', [], { domain, kind: 'discard' }))
      }
    })
    assert.deepEqual(
      (await store.domainPage('', 10)).map(({ domain }) => domain),
      ['a.test', 'b.test'],
    )
    assert.deepEqual(
      (await store.domainPage('a.test', 10)).map(({ domain }) => domain),
      ['b.test'],
    )
    const seen: string[] = []
    for (let after = { domain: '', localPart: '' }; ;) {
      const page = await store.accountPage(null, after, 3)
      seen.push(...page.map(({ localPart, domain }) => `${localPart}@${domain}`))
      const last = page.at(-1)
      if (last === undefined) break
      after = last
    }
    assert.deepEqual(
      seen,
      ['a.test', 'b.test'].flatMap((domain) => locals.toSorted().map((local) => `${local}@${domain}`)),
    )
    assert.equal((await store.accountPage('b.test', { domain: '', localPart: '' }, 100)).length, 5)
    assert.equal(
      (await store.aliasPage({ domain: 'b.test', kinds: null }, { domain: '', localPart: '' }, 100)).length,
      6,
    )
    const sinks = await store.aliasPage({ domain: null, kinds: ['discard'] }, { domain: '', localPart: '' }, 100)
    assert.deepEqual(
      sinks.map(({ domain }) => domain),
      ['a.test', 'b.test'],
    )
    const aliases = await store.aliasPage(
      { domain: null, kinds: ['alias'] },
      { domain: 'a.test', localPart: 'd-alias' },
      2,
    )
    assert.deepEqual(
      aliases.map(({ localPart, members }) => [localPart, members]),
      [
        ['e-alias', ['x@far.test']],
        ['a-alias', ['x@far.test']],
      ],
    )
  })

  guarantee('the primary domain is the local one added first, and leads the list', async (t) => {
    const store = await opened(t)
    assert.equal(await store.primaryDomain(), undefined)
    await store.change(async (writer) => {
      await writer.insertDomain(
        domainRecord('rewritten.test', { kind: 'rewrite', target: 'far.test', subaddressSeparator: null }),
      )
      await writer.insertDomain(domainRecord('example.org'))
      await writer.insertDomain(domainRecord('a.test'))
    })
    assert.equal((await store.primaryDomain())?.domain, 'example.org')
    assert.deepEqual(await store.domainNames(), ['example.org', 'a.test', 'rewritten.test'])
  })

  guarantee('the oldest account is an enabled one, of the domain before others', async (t) => {
    const store = await opened(t)
    assert.equal(await store.oldestAccount('example.org'), undefined)
    await store.change(async (writer) => {
      for (const domain of ['a.test', 'example.org', 'empty.test']) await writer.insertDomain(domainRecord(domain))
      await writer.insertAccount(accountRecord('first', { domain: 'a.test' }))
      await writer.insertAccount(accountRecord('off', { enabled: false }))
      await writer.insertAccount(accountRecord('zoe'))
      await writer.insertAccount(accountRecord('adam'))
    })
    assert.deepEqual(await store.oldestAccount('example.org'), { domain: 'example.org', localPart: 'zoe' })
    assert.deepEqual(await store.oldestAccount('empty.test'), { domain: 'a.test', localPart: 'first' })
  })

  guarantee('a renewed credential replaces only the one it was made from', async (t) => {
    const store = await opened(t)
    await store.change(async (writer) => {
      await writer.insertDomain(domainRecord('example.org'))
      await writer.insertAccount(accountRecord('smith'))
      await writer.putCredential('smith00000000', credential('changed meanwhile'))
    })
    await store.renewCredential('smith00000000', 'old', credential('renewed'))
    assert.equal((await store.credential('smith00000000'))?.passwordHash, 'changed meanwhile')
    await store.renewCredential('smith00000000', 'changed meanwhile', credential('renewed'))
    assert.equal((await store.credential('smith00000000'))?.passwordHash, 'renewed')
  })

  guarantee('a secret is made once, and is the same in every process', async (t) => {
    const again = await open(t)
    const [one, two] = [await again(), await again()]
    const made = await Promise.all([one.secret('salts'), two.secret('salts'), one.secret('salts')])
    assert.equal(new Set(made.map((secret) => Buffer.from(secret).toString('hex'))).size, 1)
    assert.notDeepEqual(await two.secret('others'), made[0])
  })

  guarantee('one signing key is made, however many processes start at once; old ones are forgotten', async (t) => {
    const again = await open(t)
    const [one, two] = [await again(), await again()]
    const key = (kid: string, at: string) => ({ kid, privateKey: '{}', publicKey: '{}', createdAt: at })
    await Promise.all([
      one.rotateSigningKey(key('a', '2026-01-05'), '2025-12-05', '2025-12-03'),
      two.rotateSigningKey(key('b', '2026-01-05'), '2025-12-05', '2025-12-03'),
    ])
    assert.equal((await one.signingKeys()).length, 1)
    await one.rotateSigningKey(key('c', '2026-02-06'), '2026-01-07', '2026-01-05')
    assert.deepEqual(
      (await two.signingKeys()).map(({ createdAt }) => createdAt),
      ['2026-02-06', '2026-01-05'],
    )
    await one.rotateSigningKey(key('d', '2026-02-08'), '2026-01-09', '2026-01-07')
    assert.deepEqual(
      (await two.signingKeys()).map(({ kid }) => kid),
      ['c'],
    )
  })

  guarantee('spending is counted over a sliding hour, each against what is left', async (t) => {
    const store = await opened(t)
    const spend = (minute: number, recipients: number): Spending => ({
      ...{ account: 'smith00000000', recipients, defaults: { messages: 4, recipients: 10 }, minute },
    })
    assert.deepEqual(await store.spend([spend(100, 6), spend(101, 5), spend(101, 4)]), [
      { kind: 'granted' },
      { kind: 'refused', limit: 'recipients', untilMinute: 160 },
      { kind: 'granted' },
    ])
    // What was sent in minute 100 counts until minute 160 begins.
    assert.deepEqual(await store.spend([spend(159, 1), spend(160, 6), spend(160, 1)]), [
      { kind: 'refused', limit: 'recipients', untilMinute: 160 },
      { kind: 'granted' },
      { kind: 'refused', limit: 'recipients', untilMinute: 161 },
    ])
    assert.deepEqual(await store.spend([spend(300, 11)]), [
      { kind: 'refused', limit: 'recipients', untilMinute: 360, never: true },
    ])
    assert.deepEqual(await store.spend([{ ...spend(300, 1), defaults: { messages: 4, recipients: 0 } }]), [
      { kind: 'refused', limit: 'recipients', untilMinute: 360 },
    ])
    const messages = await store.spend(Array.from({ length: 5 }, () => spend(400, 1)))
    assert.deepEqual(messages.at(-1), { kind: 'refused', limit: 'messages', untilMinute: 460 })
  })

  guarantee('a transport rule is found by its name and by its match, and comes back as it was written', async (t) => {
    const store = await opened(t)
    const smarthost: TransportRecord = {
      name: 'bulk',
      match: { domain: '*', sender: '@example.org' },
      action: { kind: 'smarthost', host: 'smart.test', port: 587, username: 'us', password: 'secret' },
      policy: { tls: 'required', concurrency: 3 },
      createdAt,
    }
    const hold: TransportRecord = {
      ...{ name: 'a', match: { domain: '.far.test' }, action: { kind: 'hold', reason: 'why' }, policy: {}, createdAt },
    }
    await store.change(async (writer) => {
      await writer.insertTransport(smarthost)
      await writer.insertTransport(hold)
    })
    assert.deepEqual(await store.transport('bulk'), smarthost)
    assert.equal(await store.transportFor(smarthost.match), 'bulk')
    assert.equal(await store.transportFor({ domain: '*' }), undefined)
    assert.equal(await store.transportCount(), 2)
    assert.deepEqual(await store.transportPage('', 1), [hold])
    assert.deepEqual(await store.transportPage('a', 10), [smarthost])
    const changed: TransportRecord = { ...smarthost, action: { kind: 'discard' }, policy: {} }
    await store.change((writer) => writer.updateTransport(changed))
    assert.deepEqual(await store.transport('bulk'), changed)
    await store.change((writer) => writer.deleteTransport('bulk'))
    assert.equal(await store.transport('bulk'), undefined)
  })

  test("an account's own limits come before the platform's, and 0 means none at all", async (t) => {
    const store = await opened(t)
    await store.change(async (writer) => {
      await writer.insertDomain(domainRecord('example.org'))
      await writer.insertAccount(accountRecord('smith', { recipientsPerHour: 3 }))
      await writer.insertAccount(accountRecord('jones', { messagesPerHour: 0 }))
    })
    const spend = (account: string, recipients: number) =>
      store.spend([{ account, recipients, defaults: { messages: 100, recipients: 100 }, minute: 1 }])
    assert.equal((await spend('smith00000000', 4))[0]?.kind, 'refused')
    assert.equal((await spend('smith00000000', 3))[0]?.kind, 'granted')
    assert.equal((await spend('jones00000000', 1))[0]?.kind, 'refused')
  })
}
