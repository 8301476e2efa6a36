/** Stopped and started again on its data directory, the platform is the same; nobody else may start on it meanwhile. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { directory } from '../directories.ts'
import { messages } from '../mailboxes.ts'
import { PROFILE, startPlatform, until } from '../platform.ts'
import { addAccounts } from '../postbus.ts'
import { bySwaks } from '../sending.ts'

const run = promisify(execFile)
const start = join(import.meta.dirname, '..', '..', '..', '..', 'tools', 'start', 'main.ts')

const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test('a second start on the same data', async (t) => {
  const data = join(await directory(), 'data')
  const first = await startPlatform(t, { data })
  const before = first.ready()
  const [smith] = before.accounts
  assert.ok(smith)
  const { green } = await addAccounts(before, ['green'])
  for (const { address } of [smith, green]) await bySwaks(before, { from: 'writer@example.com', to: address })
  const mail = [await messages(before, smith, 1), await messages(before, green, 1)]

  await t.test('while it runs, another start on its directory is refused and says why', async () => {
    const args = ['--profile', PROFILE, '--data', data, '--base-port', '5000']
    const other = run(process.execPath, [start, ...args], { timeout: 60_000 })
    await assert.rejects(other, ({ code, stderr }: { code: number; stderr: string }) => {
      assert.equal(code, 69)
      assert.ok(stderr.includes(`${data} is in use by process`), stderr)
      return true
    })
    assert.deepEqual(first.ready().pids, before.pids)
  })

  await t.test('Ctrl-C leaves nothing running', async () => {
    assert.equal(await first.stop(), 0)
    const left = () => Object.entries(before.pids).filter(([, pid]) => !isGone(pid))
    await until(
      () => left().length === 0,
      60_000,
      () => `still running: ${JSON.stringify(left())}`,
    )
  })

  await t.test('the same accounts, passwords, authority and mail', async (t) => {
    const startedAt = Date.now()
    const second = await startPlatform(t, { data })
    t.diagnostic(`second start: ${Date.now() - startedAt} ms until everything answered`)
    const ready = second.ready()
    assert.deepEqual(ready.accounts, before.accounts)
    assert.deepEqual([await messages(ready, smith, 1), await messages(ready, green, 1)], mail)
  })
})
