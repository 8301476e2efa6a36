/** The front end on a loopback port, as clients see it: conversations after the examples of the RFCs. */
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'

import { playTranscript, scramClient } from '@postbus/testkit'

import { seed } from './memory/messages.ts'
import { ANN, startServer, type ServerOptions } from './memory/server.ts'

const limits = { timeout: 60_000 }

interface PlayOptions extends ServerOptions {
  quotaBytes?: number
  variables?: Record<string, string>
}

async function play(t: TestContext, name: string, options: PlayOptions = {}): Promise<void> {
  const { quotaBytes = Infinity, variables = {}, ...serverOptions } = options
  const server = await startServer(t, serverOptions)
  seed(server.mailstore, ANN)
  server.mailstore.quota(ANN, quotaBytes)
  const path = new URL(`./transcripts/${name}.imap`, import.meta.url)
  await playTranscript(path, { port: server.port, variables })
}

test('greeting, CAPABILITY, ID, NOOP, LOGOUT, and what is wrong in any state', limits, (t) => play(t, 'any-state'))
test('LOGIN, ENABLE, NAMESPACE', limits, (t) => play(t, 'login'))
test('AUTHENTICATE PLAIN with and without an initial response', limits, (t) => play(t, 'authenticate'))
test('SCRAM-SHA-256, as RFC 7677 has it', limits, (t) => play(t, 'scram'))
test('SCRAM-SHA-256 with an initial response', limits, (t) => play(t, 'scram-initial'))
test('SCRAM-SHA-256 refused', limits, (t) => play(t, 'scram-refused', { limits: { maxFailedLogins: 10 } }))
for (const name of ['scram-plus', 'scram-plus-relayed', 'scram-plus-downgrade'])
  test(`SCRAM-SHA-256-PLUS bound to the certificate: ${name}`, limits, (t) => playBound(t, name))
for (const name of ['oauthbearer', 'oauthbearer-refused', 'oauthbearer-challenge'])
  test(`OAUTHBEARER: ${name}`, limits, (t) => play(t, name, { bearerLogin: true }))
for (const name of ['xoauth2', 'xoauth2-refused', 'xoauth2-challenge'])
  test(`XOAUTH2: ${name}`, limits, (t) => play(t, name, { bearerLogin: true }))

const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const user = { username: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' }

/** What the client says depends on the certificate of this run. */
async function playBound(t: TestContext, name: string): Promise<void> {
  const server = await startServer(t)
  const certificate = new X509Certificate(server.certificate)
  const data = createHash('sha256').update(certificate.raw).digest()
  const type = 'tls-server-end-point'
  const client = scramClient({ ...user, binding: { type, data } })
  const relayed = scramClient({ ...user, binding: { type, data: data.toReversed() } })
  const final = client.final(SERVER_FIRST)
  const variables = {
    first: base64(client.first),
    serverFirst: base64(SERVER_FIRST),
    final: base64(final),
    serverFinal: base64(client.serverFinal),
    relayed: base64(relayed.final(SERVER_FIRST)),
  }
  const path = new URL(`./transcripts/${name}.imap`, import.meta.url)
  await playTranscript(path, { port: server.port, variables })
}

test('SCRAM-SHA-256-PLUS bound to the TLS session, which is another one each time', limits, async (t) => {
  const server = await startServer(t)
  const sessions = await Promise.all([1, 2].map(() => secure(t, server.tlsPort)))
  const [data, other] = sessions.map(({ socket }) =>
    socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)),
  )
  const [session] = sessions
  assert.ok(session && data && other && !data.equals(other))
  for (const [bound, answer] of [
    [other, /^a NO \[AUTHENTICATIONFAILED\]/],
    [data, /^a OK/],
  ] as const) {
    const client = scramClient({ ...user, binding: { type: 'tls-exporter', data: bound } })
    session.say(`a AUTHENTICATE SCRAM-SHA-256-PLUS ${base64(client.first)}`)
    assert.equal(await session.line(), `+ ${base64(SERVER_FIRST)}`)
    session.say(base64(client.final(SERVER_FIRST)))
    if (bound === data) assert.equal(await session.line(), `+ ${base64(client.serverFinal)}`)
    if (bound === data) session.say('')
    assert.match(await session.line(), answer)
  }
})

/** After the greeting. */
async function secure(t: TestContext, port: number) {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.after(() => socket.destroy())
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  await once(socket, 'secureConnect')
  const line = async (): Promise<string> => String((await lines.next()).value)
  await line()
  return { socket, line, say: (text: string) => void socket.write(`${text}\r\n`) }
}

test('no password is taken before TLS', limits, (t) => play(t, 'privacy', { plaintextLogin: false }))
test('what was injected before the handshake is not obeyed', limits, (t) => play(t, 'injection'))
test('CREATE, RENAME, DELETE', limits, (t) => play(t, 'mailboxes'))
test('LIST, LSUB, SUBSCRIBE, UNSUBSCRIBE', limits, (t) => play(t, 'list'))
test('LIST with selection and return options', limits, (t) => play(t, 'list-extended'))
test('SELECT, EXAMINE, STATUS, CHECK, UNSELECT, CLOSE', limits, (t) => play(t, 'select'))
test('FETCH of every item', limits, (t) => play(t, 'fetch'))
test('BINARY: parts without their encodings', limits, (t) => play(t, 'binary'))
test('BINARY: APPEND of a literal8', limits, (t) => play(t, 'binary-append'))
test('BINARY: what cannot be decoded or asked for', limits, (t) => play(t, 'binary-refused'))
test('PREVIEW of text in any encoding', limits, (t) => play(t, 'preview'))
test('PREVIEW with LAZY', limits, (t) => play(t, 'preview-lazy'))
test('PREVIEW of HTML, and of what has no text', limits, (t) => play(t, 'preview-text'))
test('SEARCH with every key', limits, (t) => play(t, 'search'))
test('SORT by every criterion', limits, (t) => play(t, 'sort'))
test('SORT by displayed names', limits, (t) => play(t, 'sort-display'))
test('SORT in any charset, and what is no SORT', limits, (t) => play(t, 'sort-syntax'))
test('THREAD by references', limits, (t) => play(t, 'thread-references'))
test('THREAD by subject', limits, (t) => play(t, 'thread-ordered-subject'))
test('THREAD in any charset, and what is no THREAD', limits, (t) => play(t, 'thread-syntax'))
test('SORT and THREAD know what the session knows', limits, (t) => play(t, 'sort-thread-sessions'))
test('STORE in every mode', limits, (t) => play(t, 'store'))
test('EXPUNGE and UID EXPUNGE', limits, (t) => play(t, 'expunge'))
for (const name of ['compress', 'compress-twice', 'compress-idle'])
  test(`COMPRESS: ${name}`, limits, (t) => play(t, name))
test('GETQUOTA and GETQUOTAROOT', limits, (t) => play(t, 'quota', { quotaBytes: 9999 }))
test('without a limit there is no quota root', limits, (t) => play(t, 'quota-none'))
test('DELETED-STORAGE and OVERQUOTA', limits, (t) =>
  play(t, 'quota-deleted', { quotaBytes: 9999, variables: { octets: 'q'.repeat(9500) } }),
)
test('SETMETADATA and GETMETADATA', limits, (t) => play(t, 'metadata'))
test('GETMETADATA with DEPTH and MAXSIZE', limits, (t) => play(t, 'metadata-options'))
test('annotations that cannot be set', limits, (t) =>
  play(t, 'metadata-refused', { variables: { octets: 'm'.repeat(65_537) } }),
)
test('REPLACE and UID REPLACE', limits, (t) => play(t, 'replace'))
test('REPLACE refused changes nothing', limits, (t) => play(t, 'replace-refused'))
test('REPLACE as another session sees it', limits, (t) => play(t, 'replace-two-sessions'))
test('COPY and MOVE', limits, (t) => play(t, 'copy'))
test('APPEND of one message and of several', limits, (t) => play(t, 'append'))
test('APPENDs one behind the other', limits, (t) => play(t, 'append-pipelined'))
test('IDLE tells at once what another session does', limits, (t) => play(t, 'idle'))
test('sessions on one mailbox see each other, and sequence numbers hold still where they must', limits, (t) =>
  play(t, 'two-sessions'),
)
test('what needs no number moved is told with FETCH, STORE and SEARCH, too', limits, (t) =>
  play(t, 'steady', { limits: { steadyLookMs: 0 } }),
)
test('bad syntax is named, and the next command is read', limits, (t) => play(t, 'syntax'))
test('pipelined commands are answered in order', limits, (t) => play(t, 'pipeline'))

/** Named for what they cover; their heads say after which RFC. */
const extensions = [
  ...['condstore-enable', 'condstore-store', 'condstore-fetch', 'qresync-select', 'qresync-expunge', 'qresync-fetch'],
  ...['esearch', 'esearch-modseq', 'searchres', 'searchres-expunge', 'searchres-options'],
  ...['partial-search', 'partial-fetch', 'within', 'within-dates', 'within-saved', 'savedate', 'savedate-copy'],
  ...['objectid', 'objectid-email', 'appendlimit', 'appendlimit-status', 'list-status'],
  ...['rev2-select', 'rev2-search', 'rev2-names', 'rev2-sessions', 'id'],
  ...['list-metadata', 'list-metadata-status', 'list-metadata-syntax'],
  ...['utf8-names', 'utf8-append', 'utf8-search'],
]
for (const name of ['starttls', 'login-disabled'])
  test(`extension: ${name}`, limits, (t) => play(t, name, { plaintextLogin: false }))
for (const name of extensions) test(`extension: ${name.replaceAll('-', ' ')}`, limits, (t) => play(t, name))
