/** Secrets as files, `<directory>/<name>/<key>`, for a machine without Kubernetes. Whole or not there, also after a loss of power. */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { writeDurably } from '../start/durable-file.ts'
import type { SecretData, Secrets } from './secrets.ts'

export function filedSecrets(directory: string): Secrets {
  const write = async (dir: string, data: SecretData): Promise<void> => {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    for (const [key, value] of Object.entries(data)) await writeDurably(join(dir, key), value)
  }
  return {
    async get(name) {
      const dir = join(directory, name)
      const keys = await readdir(dir).catch(() => null)
      if (keys === null) return undefined
      const values = await Promise.all(keys.map(async (key) => [key, await readFile(join(dir, key), 'utf8')] as const))
      return Object.fromEntries(values)
    },

    async create(name, data) {
      // A directory appears with all that is in it, or not; one that is not empty is not replaced.
      const draft = join(directory, `.${name}.new`)
      await rm(draft, { recursive: true, force: true })
      await write(draft, data)
      try {
        await rename(draft, join(directory, name))
        return true
      } catch (error) {
        await rm(draft, { recursive: true, force: true })
        if (error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST'))
          return false
        throw error
      }
    },

    replace: (name, data) => write(join(directory, name), data),
  }
}
