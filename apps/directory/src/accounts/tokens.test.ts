import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SignJWT } from 'jose'

import { accountRecord } from '../adapters/storage/store.contract.ts'
import type { SigningKey } from '../store.ts'
import { newSigningKey, Tokens } from './tokens.ts'

async function directory(lifetimeMs = 600_000) {
  const state = { keys: [await newSigningKey(new Date())] as SigningKey[], account: accountRecord('smith') }
  const ports = { signingKeys: async () => state.keys, account: async () => state.account }
  const tokens = new Tokens(ports, lifetimeMs)
  await tokens.loadKeys()
  return { state, tokens, other: new Tokens(ports, lifetimeMs) }
}

test('a token is renewed by any process, also after the key was exchanged', async () => {
  const { state, tokens, other } = await directory()
  const { token } = await tokens.issue(state.account)
  assert.ok(await other.renew(token))
  state.keys = [await newSigningKey(new Date()), ...state.keys]
  await other.loadKeys()
  const fresh = await other.issue(state.account)
  assert.ok(await tokens.renew(fresh.token), 'signed with a key this process had not seen')
  assert.ok(await other.renew(token), 'signed with the key before')
})

test('a token is not renewed after a change of the account, or when it is over', async () => {
  const { state, tokens } = await directory()
  const { token } = await tokens.issue(state.account)
  const account = state.account
  state.account = { ...account, credentialVersion: 2 }
  assert.equal(await tokens.renew(token), null)
  state.account = { ...account, enabled: false }
  assert.equal(await tokens.renew(token), null)
  const { state: past, tokens: short } = await directory(-60_000)
  assert.equal(await short.renew((await short.issue(past.account)).token), null)
})

test('a token that somebody else made, or for somebody else, is none', async () => {
  const { state, tokens } = await directory()
  const [key] = state.keys
  assert.ok(key)
  const stranger = await newSigningKey(new Date())
  const sign = (privateKey: string, kid: string, audience: string, claims = { cv: 1 }) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', kid })
      .setIssuer('postbus-directory')
      .setAudience(audience)
      .setSubject(state.account.account)
      .setExpirationTime('5m')
      .sign(JSON.parse(privateKey))
  assert.ok(await tokens.renew(await sign(key.privateKey, key.kid, 'mailstore')))
  assert.equal(await tokens.renew(await sign(stranger.privateKey, key.kid, 'mailstore')), null)
  assert.equal(await tokens.renew(await sign(stranger.privateKey, stranger.kid, 'mailstore')), null)
  assert.equal(await tokens.renew(await sign(key.privateKey, key.kid, 'console')), null)
  assert.equal(await tokens.renew('not.a.token'), null)
  assert.equal(await tokens.renew(''), null)
})
