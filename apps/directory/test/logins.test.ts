/** Logins without a password on the bus: SCRAM, and tokens of an issuer that the test is. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'

import type { Bus } from '@postbus/bus'
import {
  addAccount,
  addDomain,
  authenticate,
  authenticateBearer,
  changeAccount,
  scramFinish,
  scramStart,
} from '@postbus/contracts'
import { scramClient } from '@postbus/testkit'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

import { platform } from './harness.ts'

const PASSWORD = 'correct horse'
const ISSUER = 'https://issuer.test/'
const AUDIENCE = 'mail.example.org'
const client = { clientAddress: '192.0.2.1', service: 'imap' as const }

async function example(t: TestContext, settings: Record<string, string> = {}) {
  const { bus, directory } = await platform(t)
  const { lines } = await directory(settings)
  const operator = await bus('operator')
  await operator.request(addDomain, { domain: 'example.org' })
  await operator.request(addDomain, { domain: 'example.net', kind: 'alias', target: 'example.org' })
  await operator.request(addAccount, { address: 'smith@example.org', password: PASSWORD })
  return { operator, imap: await bus('imap'), log: lines, directory }
}

async function scram(bus: Bus, username: string, password: string) {
  const exchange = scramClient({ username, password })
  const [clientFirstBare = ''] = /n=.*/.exec(exchange.first) ?? []
  const clientNonce = /r=(.*)/.exec(clientFirstBare)?.[1] ?? ''
  const { serverFirst, challenge } = await bus.request(scramStart, { username, clientNonce })
  const [clientFinalWithoutProof = '', proof = ''] = exchange.final(serverFirst).split(',p=')
  const end = { challenge, clientFirstBare, clientFinalWithoutProof, proof, ...client }
  return { exchange, serverFirst, end, answer: await bus.request(scramFinish, end) }
}

test('SCRAM: who knows the password is let in, by a directory that proves to know it, too', async (t) => {
  const { imap, log } = await example(t)
  for (const username of ['smith@example.org', 'Smith@example.net']) {
    const { answer, exchange } = await scram(imap, username, PASSWORD)
    assert.ok(answer.kind === 'accepted')
    assert.equal(answer.address, 'smith@example.org')
    exchange.check(`v=${answer.serverSignature}`)
  }
  const { answer } = await scram(imap, 'smith@example.org', 'wrong horse')
  assert.equal(answer.kind, 'refused')
  assert.ok(log.some(({ msg, cause }) => msg === 'login refused' && cause === 'wrongPassword'))
})

test('SCRAM: nobody can tell who exists, and a made-up salt is always the same, in every process', async (t) => {
  const { imap, directory } = await example(t)
  const saltOf = async (username: string) =>
    (await imap.request(scramStart, { username, clientNonce: 'abc' })).serverFirst.replace(/^r=[^,]*/, '')
  const made = await saltOf('green@example.org')
  assert.match(made, /^,s=[A-Za-z0-9+/]{22}==,i=4096$/)
  assert.match(await saltOf('smith@example.org'), /^,s=[A-Za-z0-9+/]{22}==,i=4096$/)
  assert.equal(await saltOf('GREEN@example.net'), made)
  await directory()
  for (let index = 0; index < 8; index++) assert.equal(await saltOf('green@example.org'), made)
  const { answer } = await scram(imap, 'green@example.org', PASSWORD)
  assert.equal(answer.kind, 'refused')
})

test('SCRAM: failures are counted with those of passwords; what was forged or altered is refused', async (t) => {
  const { imap, operator } = await example(t, { DIRECTORY_FAILURES_PER_PAIR: '3', DIRECTORY_FAILURE_DELAY_MS: '1' })
  const { answer, end } = await scram(imap, 'smith@example.org', PASSWORD)
  assert.equal(answer.kind, 'accepted')
  const forged = { ...end, challenge: `${end.challenge.slice(0, -2)}xx` }
  assert.equal((await imap.request(scramFinish, forged)).kind, 'refused')
  const altered = { ...end, clientFirstBare: end.clientFirstBare.replace('smith', 'jones') }
  assert.equal((await imap.request(scramFinish, altered)).kind, 'refused')
  await operator.request(changeAccount, { address: 'smith@example.org', enabled: false })
  assert.equal((await imap.request(scramFinish, end)).kind, 'refused', 'a disabled account')
  await operator.request(changeAccount, { address: 'smith@example.org', enabled: true })
  for (let index = 0; index < 2; index++)
    await imap.request(authenticate, { username: 'smith@example.org', password: 'wrong', ...client })
  assert.equal((await scram(imap, 'smith@example.org', PASSWORD)).answer.kind, 'throttled')
})

test('SCRAM keys of other parameters are made anew when the password is next seen', async (t) => {
  const { imap, directory } = await example(t)
  await directory({ DIRECTORY_SCRAM_ITERATIONS: '5000' })
  const username = 'smith@example.org'
  const iterations = async () => (await imap.request(scramStart, { username, clientNonce: 'abc' })).serverFirst
  for (let index = 0; index < 100 && !/i=5000$/.test(await iterations()); index++)
    await imap.request(authenticate, {
      username,
      password: PASSWORD,
      clientAddress: `192.0.2.${index}`,
      service: 'imap',
    })
  assert.match(await iterations(), /i=5000$/)
  assert.equal((await scram(imap, username, PASSWORD)).answer.kind, 'accepted')
})

/** An issuer on a loopback port. */
async function issuer(t: TestContext) {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] }
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(keys))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo // A TCP port has an address with a port.
  const token = (claims: Record<string, unknown>, kid = 'one') =>
    new SignJWT({ iss: ISSUER, aud: AUDIENCE, email: 'smith@example.org', ...claims })
      .setProtectedHeader({ alg: 'RS256', kid })
      .setExpirationTime(typeof claims.exp === 'number' ? claims.exp : '5 minutes')
      .sign(privateKey)
  const settings = {
    OAUTH_ISSUER: ISSUER,
    OAUTH_JWKS_URL: `http://127.0.0.1:${port}/keys`,
    OAUTH_AUDIENCE: AUDIENCE,
    DIRECTORY_FAILURE_DELAY_MS: '0',
  }
  return { token, settings, close: () => server.close() }
}

test('a token of the issuer logs in, as nobody but the one it names', async (t) => {
  const { token, settings } = await issuer(t)
  const { imap } = await example(t, settings)
  const login = async (claims: Record<string, unknown>, username = 'smith@example.org') =>
    imap.request(authenticateBearer, { username, token: await token(claims), ...client })
  const answer = await login({})
  assert.ok(answer.kind === 'accepted')
  assert.equal(answer.address, 'smith@example.org')
  assert.equal((await login({}, '')).kind, 'accepted', 'the client need not say who')
  assert.equal((await login({}, 'SMITH@example.net')).kind, 'accepted')
  assert.equal((await login({}, 'jones@example.org')).kind, 'refused')
  assert.equal((await login({ email: 'green@example.org' }, '')).kind, 'refused', 'nobody of ours')
})

test('tokens that are expired, for another service, of another issuer or unverified are worth nothing', async (t) => {
  const { token, settings } = await issuer(t)
  const { imap } = await example(t, settings)
  const now = Math.floor(Date.now() / 1000)
  const bad = [
    await token({ exp: now - 60 }),
    await token({ aud: 'calendar.example.org' }),
    await token({ iss: 'https://other.test/' }),
    await token({ email_verified: false }),
    await token({ email: 17 }),
    await token({}, 'unknown'),
    `${await token({})}x`,
    'no.token.atall',
  ]
  for (const [index, one] of bad.entries()) {
    const asked = {
      username: 'smith@example.org',
      token: one,
      clientAddress: `192.0.2.${index}`,
      service: 'pop3' as const,
    }
    const answer = await imap.request(authenticateBearer, asked)
    assert.ok(answer.kind === 'refused', `token ${index}`)
    assert.equal(answer.expired ?? false, index === 0, 'only of its age anybody is told')
  }
})

test('a token that is expired and for another service is just wrong', async (t) => {
  const { token, settings } = await issuer(t)
  const { imap } = await example(t, settings)
  const claims = { exp: Math.floor(Date.now() / 1000) - 60, aud: 'calendar.example.org' }
  const answer = await imap.request(authenticateBearer, {
    ...{ username: 'smith@example.org', token: await token(claims), ...client },
  })
  assert.deepEqual(answer, { kind: 'refused', delayMs: 0 })
})

test('without an issuer no token is any good; with one that cannot be asked nobody is refused', async (t) => {
  const { token, settings } = await issuer(t)
  const { imap } = await example(t)
  const asked = { username: 'smith@example.org', token: await token({}), ...client }
  assert.equal((await imap.request(authenticateBearer, asked)).kind, 'refused')
  const away = await example(t, { ...settings, OAUTH_JWKS_URL: 'http://127.0.0.1:9/keys' })
  await assert.rejects(away.imap.request(authenticateBearer, asked), { name: 'BusUnavailable' })
})

test('an account taken over with its hash logs in with its password, by SCRAM from the second time on, and the hash is ours then', async (t) => {
  const { imap, operator, log } = await example(t)
  // `doveadm pw -s SHA512-CRYPT`
  const passwordHash =
    '{SHA512-CRYPT}$6$MXSJOHb2Y3ryvC6W$jwe3NCooZSXl9ug582haV9Stt2VJ25Tsx0dTdG919Dcse6WUPatadAZ5nYWB.zAfgoV7GTbna8yBpEqFx6RIJ0'
  const login = { username: 'green@example.org', password: 'pāss wörd 7', ...client }
  await operator.request(addAccount, { address: login.username, passwordHash })

  assert.equal((await scram(imap, login.username, login.password)).answer.kind, 'refused')
  assert.ok(log.some(({ msg, cause }) => msg === 'login refused' && cause === 'noScramKeys'))
  assert.equal((await imap.request(authenticate, { ...login, password: 'pass word 7' })).kind, 'refused')
  assert.equal((await imap.request(authenticate, login)).kind, 'accepted')

  assert.equal((await scram(imap, login.username, login.password)).answer.kind, 'accepted')
  assert.equal((await imap.request(authenticate, login)).kind, 'accepted')
})

test('a hash that no password can be tried on is refused when it is set, and so is one beside a password', async (t) => {
  const { operator } = await example(t)
  const address = 'smith@example.org'
  for (const passwordHash of ['$y$j9T$abcdefgh$STO4XS12oXOZBSQ', '{PLAIN}secret']) {
    await assert.rejects(operator.request(changeAccount, { address, passwordHash }), { code: 'invalid' })
  }
  const both = { address, password: PASSWORD, passwordHash: '{SSHA}M7uKDo65ohO8r0lQH0NXRSMQw+QlJRBp' }
  await assert.rejects(operator.request(changeAccount, both), { code: 'invalid' })
})
