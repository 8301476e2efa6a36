import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { test } from 'node:test'

import { hashPassword, isOutdated, preparePassword, scramKeys, verifyPassword } from './password.ts'

const cheap = { memoryKiB: 64, passes: 1 }

test('a password verifies against its own hash only, whatever the parameters are now', async () => {
  const hash = await hashPassword('correct horse', cheap)
  assert.match(hash, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.equal(await verifyPassword('correct horse', hash), true)
  assert.equal(await verifyPassword('correct horses', hash), false)
  assert.notEqual(await hashPassword('correct horse', cheap), hash, 'the salt is fresh')
  assert.equal(isOutdated(hash, cheap), false)
  assert.equal(isOutdated(hash, { ...cheap, passes: 2 }), true)
})

test('a hash made elsewhere verifies', async () => {
  // Made with the reference implementation: argon2id, 64 MiB, 2 passes, 1 lane, salt "somesalt", password "password".
  const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  assert.equal(await verifyPassword('password', hash), true)
})

test('a hash that is none is a fault, not a wrong password', async () => {
  await assert.rejects(verifyPassword('password', '$2b$12$somethingelse'), /PHC/)
})

test('the same password typed on another system is the same password', () => {
  assert.equal(preparePassword('pa\u00adss'), 'pass', 'soft hyphen')
  assert.equal(preparePassword('e\u0301'), '\u00e9', 'composed')
  assert.equal(preparePassword('a\u00a0b'), 'a b', 'no-break space')
  assert.equal(preparePassword('\u2168'), 'IX', 'compatibility')
  assert.equal(preparePassword('🐎 battery'), '🐎 battery', 'newer than Unicode 3.2')
  assert.equal(preparePassword('a\u0007b'), null, 'control character')
  assert.equal(preparePassword('\u00ad'), null, 'nothing left')
})

test('the SCRAM keys are those of RFC 5802 §3', async () => {
  const { salt, iterations, storedKey, serverKey } = await scramKeys('pencil', 4096)
  const salted = pbkdf2Sync('pencil', salt, iterations, 32, 'sha256')
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest()
  assert.deepEqual(storedKey, createHash('sha256').update(hmac('Client Key')).digest())
  assert.deepEqual(serverKey, hmac('Server Key'))
})
