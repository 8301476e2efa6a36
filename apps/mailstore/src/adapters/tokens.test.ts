import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Bus, BusUnavailable, RequestRefused } from '@postbus/bus'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

import { sessionTokens } from './tokens.ts'

const NOW = Date.UTC(2026, 0, 1)

async function signer(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair('Ed25519')
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg: 'EdDSA', use: 'sig' }
  const sign = (claims: { iss?: string; aud?: string; sub?: string; seconds?: number } = {}) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'EdDSA', kid })
      .setIssuer(claims.iss ?? 'postbus-directory')
      .setAudience(claims.aud ?? 'mailstore')
      .setSubject(claims.sub ?? 'smith000')
      .setIssuedAt(NOW / 1000)
      .setExpirationTime(NOW / 1000 + (claims.seconds ?? 60))
      .sign(privateKey)
  return { jwk, sign }
}

/** Only tokenKeys is asked. */
function directory(keys: JWK[]) {
  const asked = { times: 0, down: false }
  const request = async () => {
    asked.times++
    if (asked.down) throw new BusUnavailable('nobody')
    return { keys }
  }
  return { asked, bus: { request } as unknown as Pick<Bus, 'request'> }
}

const invalid = (error: unknown) => error instanceof RequestRefused && error.code === 'tokenInvalid'

test('a token of the directory names the account', async () => {
  const one = await signer('1')
  const { bus, asked } = directory([one.jwk])
  const tokens = sessionTokens(bus, () => NOW)
  const token = await one.sign()
  assert.equal(await tokens.accountOf(token), 'smith000')
  assert.equal(await tokens.accountOf(token), 'smith000')
  assert.equal(asked.times, 1)
})

test('forged, expired and misdirected tokens are refused', async () => {
  const [one, other] = [await signer('1'), await signer('1')]
  const { bus } = directory([one.jwk])
  const tokens = sessionTokens(bus, () => NOW)
  const refused = [
    'nonsense',
    await other.sign(),
    await one.sign({ seconds: -60 }),
    await one.sign({ iss: 'somebody' }),
    await one.sign({ aud: 'directory' }),
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"smith000"}').toString('base64url')}.`,
  ]
  for (const token of refused) await assert.rejects(tokens.accountOf(token), invalid, token)
})

test('a remembered token ends with its time', async () => {
  const one = await signer('1')
  let now = NOW
  const tokens = sessionTokens(directory([one.jwk]).bus, () => now)
  const token = await one.sign({ seconds: 60 })
  await tokens.accountOf(token)
  now += 120_000
  await assert.rejects(tokens.accountOf(token), invalid)
})

test('a key we do not know is asked for, and not again and again', async () => {
  const [one, two] = [await signer('1'), await signer('2')]
  const keys = [one.jwk]
  const { bus, asked } = directory(keys)
  const tokens = sessionTokens(bus, () => NOW, { minRefreshMs: 0 })
  await tokens.accountOf(await one.sign())
  keys.push(two.jwk)
  assert.equal(await tokens.accountOf(await two.sign()), 'smith000')
  assert.equal(asked.times, 2)

  const patient = sessionTokens(bus, () => NOW)
  await patient.accountOf(await one.sign())
  const forged = await signer('3')
  for (let tries = 0; tries < 5; tries++) await assert.rejects(patient.accountOf(await forged.sign()), invalid)
  assert.equal(asked.times, 3)
})

test('without keys nothing is refused: we do not know', async () => {
  const one = await signer('1')
  const { bus, asked } = directory([one.jwk])
  asked.down = true
  const tokens = sessionTokens(bus, () => NOW)
  await assert.rejects(tokens.accountOf(await one.sign()), BusUnavailable)
  asked.down = false
  assert.equal(await tokens.accountOf(await one.sign()), 'smith000')
})
