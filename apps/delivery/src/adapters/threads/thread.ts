/** The inside of a thread that speaks with other hosts: sessions and a reader of the spool of its own, and nothing that must be kept. */
import { parentPort, workerData } from 'node:worker_threads'

import { openTransactions } from '../../transaction.ts'
import { askedKeys } from './asked-keys.ts'
import {
  type Counted,
  type Errand,
  errorOf,
  failureOf,
  type FromThread,
  type Result,
  type ThreadData,
  type ToThread,
} from './errands.ts'

if (parentPort === null) throw new Error('this is the inside of a worker thread')
const port = parentPort
const { config }: ThreadData = workerData

let counted: Counted[] = []
let results: Result[] = []
const keys = askedKeys((id, domains) => say({ kind: 'keysOf', id, domains }))
const { transact, close } = await openTransactions(config, config.DELIVERY_DKIM === 'off' ? null : keys, {
  session: (...values) => void counted.push({ name: 'session', with: values }),
  sessionFailed: (...values) => void counted.push({ name: 'sessionFailed', with: values }),
  signed: (...values) => void counted.push({ name: 'signed', with: values }),
})

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'transact':
      for (const errand of message.errands) void run(errand)
      return
    case 'keys':
      return keys.answered(message.id, message.keys)
    case 'noKeys':
      return keys.answered(message.id, errorOf(message.failure))
    case 'close':
      // The thread ends when its last session has.
      return void close().then(() => port.close())
  }
})

async function run({ id, tasks, route, destination, generation }: Errand): Promise<void> {
  keys.noteGeneration(generation)
  try {
    const { outcomes, news } = await transact(tasks, route, async () => destination)
    const inOrder = tasks.map((task) => outcomes.get(task)).filter((outcome) => outcome !== undefined)
    tell({ kind: 'done', id, outcomes: inOrder, news })
  } catch (error) {
    tell({ kind: 'failed', id, failure: failureOf(error) })
  }
}

function tell(result: Result): void {
  if (results.length === 0) setImmediate(sayResults)
  results.push(result)
}

function sayResults(): void {
  say({ kind: 'results', results, counted })
  results = []
  counted = []
}

function say(message: FromThread): void {
  port.postMessage(message)
}
