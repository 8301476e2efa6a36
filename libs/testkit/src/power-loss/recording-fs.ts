/** Builds recording-fs.c and mounts it for a test. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export interface RecordingFs {
  mountPoint: string
  /** Of the log; complete after `unmount`. */
  log: string
  /** How many operations the log holds now. Costs one pread. */
  position(): number
  unmount(): Promise<void>
}

/** @param dir where everything about it is put */
export async function mountRecordingFs(t: TestContext, dir: string): Promise<RecordingFs> {
  const [mountPoint, backing, log, counter] = ['mnt', 'backing', 'operations.log', 'position'].map((name) =>
    join(dir, name),
  ) as [string, string, string, string]
  mkdirSync(mountPoint)
  mkdirSync(backing)
  const child = spawn(build(dir), [mountPoint, backing, log, counter], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  let mounted = true
  const unmount = async (): Promise<void> => {
    if (!mounted) return
    mounted = false
    child.kill('SIGTERM')
    const [code, signal] = await ended
    if (code !== 0) throw new Error(`recording-fs ended with ${code ?? signal}`)
  }
  t.after(unmount)
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(([code]) => {
      throw new Error(`recording-fs could not mount (exit code ${code}); it needs root and /dev/fuse`)
    }),
  ])

  const file = openSync(counter, 'r')
  t.after(() => closeSync(file))
  const octets = Buffer.alloc(8)
  return {
    mountPoint,
    log,
    position() {
      readSync(file, octets, 0, 8, 0)
      return Number(octets.readBigUInt64LE(0))
    },
    unmount,
  }
}

function build(dir: string): string {
  const program = join(dir, 'recording-fs')
  const source = join(import.meta.dirname, 'recording-fs.c')
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-D_FILE_OFFSET_BITS=64', '-I/usr/include/fuse3']
  execFileSync('cc', [...flags, source, '-o', program, '-lfuse3'], { stdio: 'inherit' })
  return program
}
