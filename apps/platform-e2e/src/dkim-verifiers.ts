/** DKIM as others verify it, with TXT records from a file instead of DNS. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface TextRecord {
  recordName: string
  record: string
}

/** @returns `algorithm selector pass` for each signature, in the order of the fields; `fail` for one that does not verify. */
export type Verify = (message: Buffer, records: readonly TextRecord[]) => Promise<string[]>

const DKIMPY = `
import dkim, sys
path, *lines = sys.argv[1:]
records = dict(line.split(' ', 1) for line in lines)
message = open(path, 'rb').read()
for index in range(message.split(b'\\r\\n\\r\\n')[0].count(b'DKIM-Signature:')):
    one = dkim.DKIM(message)
    good = one.verify(idx=index, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode())
    fields = one.signature_fields
    print(fields[b'a'].decode(), fields[b's'].decode(), 'pass' if good else 'fail')
`

/** Debian's Python: the module is in its packages, and another Python may stand before it on the path. */
export const byDkimpy = (t: TestContext): Verify =>
  over(t, async (path, records) => {
    const lines = records.map(({ recordName, record }) => `${recordName} ${record}`)
    const { stdout } = await run('/usr/bin/python3', ['-c', DKIMPY, path, ...lines])
    return stdout.trimEnd().split('\n')
  })

export const byOpendkim = (t: TestContext): Verify =>
  over(t, async (path, records) => {
    const dns = `${path}.dns`
    await writeFile(dns, records.map(({ recordName, record }) => `${recordName} ${record}\n`).join(''))
    await writeFile(`${path}.conf`, `Mode v\nSyslog no\nTestDNSData file:${dns}\n`)
    const { stdout } = await run('opendkim', ['-x', `${path}.conf`, '-vv', '-t', path])
    const verdicts = stdout.matchAll(/\bdkim=(\w+)\b[^;]* header\.a=(\S+) header\.s=(\S+)/g)
    return [...verdicts].map(([, verdict, algorithm, selector]) => `${algorithm} ${selector} ${verdict}`)
  })

function over(t: TestContext, verify: (path: string, records: readonly TextRecord[]) => Promise<string[]>): Verify {
  return async (message, records) => {
    const dir = await mkdtemp(join(tmpdir(), 'postbus-dkim-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    const path = join(dir, 'message')
    await writeFile(path, message)
    return verify(path, records)
  }
}
