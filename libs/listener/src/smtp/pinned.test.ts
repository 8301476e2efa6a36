/**
 * What we override or lean on inside smtp-server, by fingerprint. When one changes: read the new code beside ours
 * (server.ts, channel.ts, parser.ts), make ours right, and only then write the new fingerprint here.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'

const pinned: Record<string, Record<string, string>> = {
  SMTPServer: {
    constructor: '3c0c6430d6ede621',
    connect: '9818ea13a1c36459',
    updateSecureContext: '643afa2b7bfe4d0d',
    _acceptSocket: 'f4c69396f94c5c50',
    _expectsProxyHeader: 'b900129fbb5a986c',
    _handleProxy: 'b52456c48b0458fe',
    _upgrade: '2d34eaba8e47830d',
    _resolveSNI: '2552460a41b8377f',
    onSecure: 'e7fd7542d67fb024',
    onClose: '76ebb64d11408250',
  },
  SMTPConnection: {
    constructor: '7426212a1b4535e5',
    init: '1265a7d7ca8f5510',
    close: '4b80aaabd134a732',
    upgrade: '6a3fa8a3ee413745',
    _createParser: '15ca8c360137e06a',
    _setListeners: 'cf07ab6f47db09ac',
    _armTimeout: 'b8bc04964752b32f',
    _onTimeout: 'f21be62dd64b1dec',
    _onError: 'ddcc47e46ea941e0',
    _onCloseEvent: '66ef4e7f2f7250b0',
    _onClose: '097b8d221da5c5ad',
    _resetSession: '2bf7682ca13869a0',
  },
  SMTPStream: { constructor: 'fe17a4deaee7124c', _write: 'a72635ce53e24b3a', _flushData: '84553453dd028d62' },
}

for (const [name, { prototype, source }] of Object.entries({
  SMTPServer: { prototype: SMTPServer.prototype, source: String(SMTPServer) },
  SMTPConnection: { prototype: SMTPConnection.prototype, source: String(SMTPConnection) },
  SMTPStream: { prototype: SMTPStream.prototype, source: String(SMTPStream) },
})) {
  test(`${name} is as it was when we built on it`, () => {
    const methods = Object.keys(pinned[name] ?? {})
    const found = methods.map((method) => [method, fingerprint(sourceOf(method, prototype, source))])
    assert.deepEqual(Object.fromEntries(found), pinned[name])
  })
}

function sourceOf(method: string, prototype: object, source: string): string {
  if (method === 'constructor') return /\n {4}constructor\([\s\S]*?\n {4}\}\n/.exec(source)?.[0] ?? ''
  return String(Object.getOwnPropertyDescriptor(prototype, method)?.value)
}

function fingerprint(source: string): string {
  assert.ok(source.length > 20, 'no source to look at')
  return createHash('sha256').update(source).digest('hex').slice(0, 16)
}
