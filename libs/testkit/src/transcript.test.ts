import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { playTranscript } from './transcript.ts'

/** A server that greets, upper-cases each line, answers `bytes` with a literal and closes on `bye`. */
async function shouter(t: TestContext): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.write('hello\r\n')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const lines = text.split('\r\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'bye') socket.end()
        else if (line === 'bytes') socket.write(Buffer.from('a\nb\u00ff', 'latin1'))
        else socket.write(`${line.toUpperCase()}\r\n`)
      }
    })
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function script(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-transcript-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'play.txt')
  await writeFile(path, text)
  return path
}

test('lines, raw bytes, skipped lines, variables and further connections play', async (t) => {
  const path = await script(
    t,
    [
      '# a comment',
      'S: hello',
      'C: one',
      'C: x-17',
      'C: two ${given}',
      'S* X-(?<id>\\d+)',
      'S: TWO VALUE',
      'C2: ${id}',
      'S2: hello',
      'S2: 17',
      'C: bytes',
      'S= "a\\nb\\u00ff"',
      'C= "b\\u0079e\\r\\n"',
      'CLOSED',
    ].join('\n'),
  )
  await playTranscript(path, { port: await shouter(t), variables: { given: 'value' } })
})

test('a wrong answer, a silent server and an early end fail with the line of the script', async (t) => {
  const port = await shouter(t)
  const wrong = await script(t, 'S: hello\nC: one\nS: TWO\n')
  await assert.rejects(playTranscript(wrong, port), /play\.txt:3: server said "ONE", wanted TWO/)
  const silent = await script(t, 'S: hello\nS: more\n')
  await assert.rejects(playTranscript(silent, { port, timeoutMs: 50 }), /play\.txt:2: .*no answer within 50 ms/)
  const early = await script(t, 'S: hello\nC: bye\nS: more\n')
  await assert.rejects(playTranscript(early, port), /play\.txt:3: server closed/)
  const open = await script(t, 'S: hello\nC: bytes\nC: bye\nCLOSED\n')
  await assert.rejects(playTranscript(open, port), /play\.txt:4/)
})
