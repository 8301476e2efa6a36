/** Mailstores as processes of their own, killed in the middle of deliveries. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { BusUnavailable } from '@postbus/bus'
import { fetchedMessages, fetchMessages, MailLocal, mailboxStatus } from '@postbus/contracts'

import { accept, type Around, jones, smith, until } from './harness.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** Every tenth is large, so that it is adopted as a blob. */
const textOf = (number: number) =>
  `Subject: number ${number}\r\n\r\n${'x'.repeat(number % 10 === 0 ? 300_000 : 2000)}\r\n`

export class Process {
  #child: ChildProcess

  constructor(env: Record<string, string>) {
    this.#child = start(env)
  }

  async killAndRestart(env: Record<string, string>): Promise<void> {
    await this.kill()
    this.#child = start(env)
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}

const start = (env: Record<string, string>) =>
  spawn(process.execPath, [main], { env: { ...process.env, ...env }, stdio: 'inherit' })

interface Killing {
  processes: number
  messages: number
}

/** Every message for two accounts; each process is killed and started again in its turn. */
export async function deliverAll(platform: Around, { processes, messages }: Killing) {
  const { env, spool, statuses, bus, tokenOf } = platform
  const running = Array.from({ length: processes }, () => new Process(env))
  platform.defer(async () => void (await Promise.all(running.map((process) => process.kill()))))
  const router = await bus('router')
  for (let number = 0; number < messages; number++) {
    for (const task of await accept(spool, textOf(number), [smith, jones])) await router.publish(MailLocal, task)
  }
  const ended = () => new Set(statuses.map((status) => `${status.queueId}.${'n' in status ? status.n : ''}`)).size
  for (let share = 1; share <= 5; share++) {
    await until(() => ended() >= (share * messages * 2) / 6, 120_000)
    await running[share % processes]?.killAndRestart(env)
  }
  await until(() => ended() === messages * 2, 120_000)

  const imap = await bus('imap')
  for (const account of [smith, jones]) {
    const token = await tokenOf(account)
    const ask = () => imap.request(mailboxStatus, { token, name: 'INBOX' })
    // The last one killed may have ended everything before the next one answers.
    await until(() =>
      ask().then(
        () => true,
        (error) => !(error instanceof BusUnavailable),
      ),
    )
    const inbox = await ask()
    const want = { envelope: true, size: true }
    const pages = await Array.fromAsync(
      imap.rows(fetchMessages, { token, mailbox: inbox.mailbox, uids: '1:100000', want }),
    )
    const found = pages.flatMap(({ row, bytes }) => [...fetchedMessages(row, bytes)])
    const subjects = found.map(({ envelope = '' }) => /"number ([0-9]+)"/.exec(envelope)?.[1])
    assert.equal(new Set(subjects).size, messages, 'none is missing')
    assert.equal(subjects.length, messages, 'none is there twice')
    assert.equal(inbox.messages, messages)
    assert.equal(
      inbox.size,
      found.reduce((sum, { size = 0 }) => sum + size, 0),
    )
    assert.equal(new Set(found.map(({ modseq }) => modseq)).size, messages)
  }
  return imap
}
