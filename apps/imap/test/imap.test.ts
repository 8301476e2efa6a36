/** The front end on a loopback port, as clients see it: conversations after the examples of the RFCs. */
import { test, type TestContext } from 'node:test'

import { playTranscript } from '@postbus/testkit'

import { seed } from './memory/messages.ts'
import { ANN, startServer, type ServerOptions } from './memory/server.ts'

const limits = { timeout: 10_000 }

async function play(t: TestContext, name: string, options: ServerOptions = {}): Promise<void> {
  const server = await startServer(t, options)
  seed(server.mailstore, ANN)
  await playTranscript(new URL(`./transcripts/${name}.imap`, import.meta.url), { port: server.port, timeoutMs: 3000 })
}

test('greeting, CAPABILITY, ID, NOOP, LOGOUT, and what is wrong in any state', limits, (t) => play(t, 'any-state'))
test('LOGIN, ENABLE, NAMESPACE', limits, (t) => play(t, 'login'))
test('AUTHENTICATE PLAIN with and without an initial response', limits, (t) => play(t, 'authenticate'))
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
test('COPY and MOVE', limits, (t) => play(t, 'copy'))
test('APPEND of one message and of several', limits, (t) => play(t, 'append'))
test('IDLE tells at once what another session does', limits, (t) => play(t, 'idle'))
test('sessions on one mailbox see each other, and sequence numbers hold still where they must', limits, (t) =>
  play(t, 'two-sessions'),
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
]
for (const name of ['starttls', 'login-disabled'])
  test(`extension: ${name}`, limits, (t) => play(t, name, { plaintextLogin: false }))
for (const name of extensions) test(`extension: ${name.replaceAll('-', ' ')}`, limits, (t) => play(t, name))
