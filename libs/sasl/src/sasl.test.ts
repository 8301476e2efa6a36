import assert from 'node:assert/strict'
import { test } from 'node:test'

import { scramClient } from '@postbus/testkit'
import fc from 'fast-check'

import {
  decodeInitial,
  decodeResponse,
  mechanismOf,
  naming,
  offeredMechanisms,
  SaslFault,
  scramKeysOf,
  scramServerFirst,
  verifyScramProof,
  type Channel,
  type Verdict,
  type Verifier,
} from './index.ts'

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const clear: Channel = { channelBinding: () => null }
const secure: Channel = {
  channelBinding: (type) => (type === 'tls-exporter' ? Buffer.from('this very session') : null),
}

/** RFC 7677 §3: user with the password pencil; a token of hers. */
function verifier(asked: string[] = []): Verifier<string> {
  return {
    async password({ username, password }) {
      asked.push(`password ${username}`)
      return username === 'user' && password === 'pencil' ? granted : refused
    },
    async scramStart({ username, clientNonce }) {
      asked.push(`start ${username}`)
      const nonce = `${clientNonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`
      const serverFirst = scramServerFirst(nonce, { salt: SALT, iterations: 4096 })
      return { serverFirst, challenge: serverFirst }
    },
    async scramFinish({ challenge, ...messages }) {
      asked.push('finish')
      const keys = await scramKeysOf('pencil', SALT, 4096)
      const serverSignature = verifyScramProof(keys, { ...messages, serverFirst: challenge })
      return serverSignature ? { kind: 'accepted', granted: { granted: 'user', serverSignature } } : refused
    },
    async bearer({ username, token }) {
      asked.push(`bearer ${username}`)
      return token === 'vF9dft4qmT' ? granted : refused
    },
  }
}

const granted: Verdict<string> = { kind: 'accepted', granted: 'user' }
const refused = { kind: 'refused' as const, delayMs: 7 }

interface Played {
  verdict: Verdict<string>
  said: string[]
}

/** One exchange; `answers` are what the client says, the first with the command. */
async function play(
  name: string,
  answers: (string | ((challenge: string) => string))[],
  {
    channel = clear,
    bearer = true,
    login = true,
    by = verifier(),
  }: { channel?: Channel; bearer?: boolean; login?: boolean; by?: Verifier<string> } = {},
): Promise<Played> {
  const mechanism = mechanismOf(name, { channel, bearer, login }) ?? assert.fail(`${name} is not offered`)
  const said: string[] = []
  const [first, ...rest] = answers
  const verdict = await mechanism({
    initial: typeof first === 'string' ? Buffer.from(first) : undefined,
    channel,
    verifier: by,
    challenge: async (octets) => {
      said.push(Buffer.from(octets).toString())
      const answer = rest.shift() ?? assert.fail('nothing more to say')
      return Buffer.from(typeof answer === 'string' ? answer : answer(said.at(-1) ?? ''))
    },
  })
  return { verdict, said }
}

const faulty = (kind: SaslFault['kind']) => (cause: unknown) => cause instanceof SaslFault && cause.kind === kind

test('the example of RFC 7677 §3, octet for octet', async () => {
  const { verdict, said } = await play('SCRAM-SHA-256', [
    'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    '',
  ])
  assert.deepEqual(verdict, granted)
  assert.deepEqual(said, [
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  ])
})

test('a wrong proof is refused, and the client learns nothing of the server key', async () => {
  const client = scramClient({ username: 'user', password: 'pen' })
  const { verdict, said } = await play('SCRAM-SHA-256', [client.first, (first) => client.final(first)])
  assert.deepEqual(verdict, refused)
  assert.equal(said.length, 1)
})

test('with -PLUS the login is good in this very TLS session only', async () => {
  const data = Buffer.from('this very session')
  const bound = (binding: { type: string; data: Uint8Array }) => {
    const client = scramClient({ username: 'user', password: 'pencil', binding })
    const last = (serverFinal: string): string => (client.check(serverFinal), '')
    return play('SCRAM-SHA-256-PLUS', [client.first, (first) => client.final(first), last], { channel: secure })
  }
  assert.deepEqual((await bound({ type: 'tls-exporter', data })).verdict, granted)
  const relayed = await bound({ type: 'tls-exporter', data: Buffer.from('another session') })
  assert.deepEqual(relayed.verdict, { kind: 'refused', delayMs: 0 })
  await assert.rejects(bound({ type: 'tls-unique', data }), faulty('malformed'))
})

test('a client that was told nothing of -PLUS is told that somebody lied — RFC 5802 §6', async () => {
  const client = scramClient({ username: 'user', password: 'pencil', flag: 'y' })
  const asked: string[] = []
  const answers = [client.first, (first: string) => client.final(first), '']
  await assert.rejects(play('SCRAM-SHA-256', answers, { channel: secure, by: verifier(asked) }), faulty('malformed'))
  assert.deepEqual(asked, [])
  assert.deepEqual((await play('SCRAM-SHA-256', answers)).verdict, granted)
})

test('another nonce or another header in the final message is refused without asking anybody', async () => {
  for (const change of [
    (final: string) => final.replace(/r=[^,]*/, 'r=fyko+d2lbbFgONRv9qkxdawLother'),
    (final: string) => final.replace('c=biws', 'c=eSws'),
  ]) {
    const asked: string[] = []
    const client = scramClient({ username: 'user', password: 'pencil' })
    const final = (first: string) => change(client.final(first))
    const { verdict } = await play('SCRAM-SHA-256', [client.first, final], { by: verifier(asked) })
    assert.deepEqual(verdict, { kind: 'refused', delayMs: 0 })
    assert.deepEqual(asked, ['start user'])
  }
})

test('commas and equals signs in a name are read', async () => {
  const asked: string[] = []
  const client = scramClient({ username: 'a,b=c', password: 'x' })
  await play('SCRAM-SHA-256', [client.first, (first) => client.final(first)], { by: verifier(asked) })
  assert.equal(asked[0], 'start a,b=c')
})

test('who acts for somebody else is told that nobody may, but only with the right password', async () => {
  const scram = (password: string) => {
    const client = scramClient({ username: 'user', password, authorization: 'root' })
    return play('SCRAM-SHA-256', [client.first, (first) => client.final(first)])
  }
  await assert.rejects(scram('pencil'), faulty('notAuthorized'))
  await assert.rejects(play('PLAIN', ['root\0user\0pencil']), faulty('notAuthorized'))
  assert.deepEqual((await scram('pen')).verdict, refused)
  assert.deepEqual((await play('PLAIN', ['root\0user\0pen'])).verdict, refused)
})

test('PLAIN, at once and after an empty challenge', async () => {
  assert.deepEqual((await play('plain', ['\0user\0pencil'])).verdict, granted)
  assert.deepEqual(await play('PLAIN', [() => '', 'user\0user\0pencil']), { verdict: granted, said: [''] })
  assert.deepEqual((await play('PLAIN', ['\0user\0pen'])).verdict, refused)
})

test('LOGIN: the name, perhaps at once, and the password', async () => {
  const asked = ['Username:', 'Password:']
  assert.deepEqual(await play('LOGIN', [() => '', 'user', 'pencil']), { verdict: granted, said: asked })
  assert.deepEqual(await play('login', ['user', 'pen']), { verdict: refused, said: ['Password:'] })
  await assert.rejects(play('LOGIN', ['', 'pencil']), faulty('malformed'))
})

test('who a client says it is can be noted, before anybody is asked', async () => {
  const names: string[] = []
  const by = naming(verifier(), (username) => names.push(username))
  await play('PLAIN', ['\0root\0pencil'], { by })
  await play('XOAUTH2', ['user=user\u0001auth=Bearer wrong\u0001\u0001', ''], { by })
  await assert.rejects(play('SCRAM-SHA-256', ['n,,n=ann,r=abc', 'nonsense'], { by }))
  assert.deepEqual(names, ['root', 'user', 'ann'])
})

test('OAUTHBEARER and XOAUTH2: a token, or what is wrong as JSON before the refusal', async () => {
  const oauth = (token: string) =>
    `n,a=user,\u0001host=server.example.com\u0001port=143\u0001auth=Bearer ${token}\u0001\u0001`
  const google = (token: string) => `user=user\u0001auth=Bearer ${token}\u0001\u0001`
  assert.deepEqual(await play('OAUTHBEARER', [oauth('vF9dft4qmT')]), { verdict: granted, said: [] })
  assert.deepEqual(await play('XOAUTH2', [google('vF9dft4qmT')]), { verdict: granted, said: [] })
  assert.deepEqual(await play('OAUTHBEARER', [oauth('old'), '\u0001']), {
    verdict: refused,
    said: ['{"status":"invalid_token","schemes":"bearer"}'],
  })
  assert.deepEqual(await play('XOAUTH2', [google('old'), '']), {
    verdict: refused,
    said: ['{"status":"401","schemes":"bearer"}'],
  })
  const asked: string[] = []
  const discovery = 'n,,\u0001auth=\u0001\u0001'
  const found = await play('OAUTHBEARER', [discovery, '\u0001'], { by: verifier(asked) })
  assert.deepEqual(found.verdict, { kind: 'refused', delayMs: 0 })
  assert.deepEqual(asked, [], 'a client that only asks what would do is nobody’s failure')
})

test('only what can work is offered', () => {
  assert.deepEqual(offeredMechanisms({ channel: clear, bearer: false }), ['PLAIN', 'SCRAM-SHA-256'])
  assert.deepEqual(offeredMechanisms({ channel: secure, bearer: true }), [
    ...['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS', 'OAUTHBEARER', 'XOAUTH2'],
  ])
  assert.equal(mechanismOf('LOGIN', { channel: secure, bearer: true }), undefined)
  assert.equal(mechanismOf('SCRAM-SHA-256-PLUS', { channel: clear, bearer: true }), undefined)
})

test('lines: base64 strictly, `=` for nothing, `*` to cancel', () => {
  assert.equal(decodeInitial(undefined), undefined)
  assert.equal(decodeInitial('=')?.length, 0)
  assert.equal(decodeResponse('cGVuY2ls').toString(), 'pencil')
  assert.throws(() => decodeResponse('*'), faulty('cancelled'))
  assert.throws(() => decodeResponse('cGVuY2ls!'), faulty('malformed'))
  assert.throws(() => decodeResponse(null), faulty('malformed'))
})

test('whatever a client says, an exchange ends in a verdict or a fault', async () => {
  const piece = fc.constantFrom(
    ...['n,,', 'y,,', 'p=tls-exporter,,', 'n=user', ',', 'r=abc', 'c=biws', 'p=', '\0', '\u0001', 'auth=Bearer x'],
    ...['user=', 'a=', '=2C', '=', 'm=x', 'i=1', 'é'],
  )
  const message = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 8 }).map((all) => all.join('')),
  )
  const name = fc.constantFrom('PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS', 'OAUTHBEARER', 'XOAUTH2')
  await fc.assert(
    fc.asyncProperty(name, message, message, message, async (mechanism, first, second, third) => {
      try {
        const { verdict } = await play(mechanism, [first, second, third], { channel: secure })
        assert.ok(['accepted', 'refused'].includes(verdict.kind))
      } catch (cause) {
        assert.ok(cause instanceof SaslFault, String(cause))
      }
    }),
    { seed: 5802, numRuns: 500 },
  )
})
