/** The client's side of one SCRAM-SHA-256 exchange — RFC 5802, RFC 7677; written apart from the server's, so that each tests the other. */
import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

export interface ScramClientOptions {
  username: string
  password: string
  nonce?: string
  /** Binds to this; else `flag` says whether the client could. */
  binding?: { type: string; data: Uint8Array }
  flag?: 'n' | 'y'
  /** Whom to act for, if not for oneself. */
  authorization?: string
}

export interface ScramClient {
  /** client-first-message. */
  readonly first: string
  /** client-final-message, in answer to the server's first. */
  final(serverFirst: string): string
  /** What the server must say last. */
  readonly serverFinal: string
  /** @throws when the server's last message is not that of somebody who knows the password */
  check(serverFinal: string): void
}

export function scramClient(options: ScramClientOptions): ScramClient {
  const { username, password, nonce = 'fyko+d2lbbFgONRv9qkxdawL', binding, flag = 'n', authorization } = options
  const header = `${binding ? `p=${binding.type}` : flag},${authorization === undefined ? '' : `a=${authorization}`},`
  const bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const bound = Buffer.concat([Buffer.from(header), binding?.data ?? Buffer.alloc(0)]).toString('base64')
  let signature = ''
  return {
    first: header + bare,
    final(serverFirst) {
      const [, serverNonce = '', salt = '', iterations] = /^r=([^,]*),s=([^,]*),i=(\d+)$/.exec(serverFirst) ?? []
      assert.ok(serverNonce.startsWith(nonce) && serverNonce.length > nonce.length, `nonce in ${serverFirst}`)
      const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256')
      const withoutProof = `c=${bound},r=${serverNonce}`
      const authMessage = `${bare},${serverFirst},${withoutProof}`
      const clientKey = hmac(salted, 'Client Key')
      const clientSignature = hmac(createHash('sha256').update(clientKey).digest(), authMessage)
      const proof = clientKey.map((octet, index) => octet ^ (clientSignature[index] ?? 0))
      signature = hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')
      return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
    },
    get serverFinal() {
      return `v=${signature}`
    },
    check(serverFinal) {
      assert.equal(serverFinal, this.serverFinal)
    },
  }
}

const hmac = (key: Uint8Array, data: string): Buffer => createHmac('sha256', key).update(data).digest()
