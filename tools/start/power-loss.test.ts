import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { isAvailable, keptAfterPowerLoss } from '@postbus/testkit/power-loss'

import { certificates } from './certificates.ts'
import { keysOf } from './keys.ts'

const skip = isAvailable() ? false : 'needs root, /dev/fuse and libfuse3'

test(
  'keys and certificates of the first start are those of the next, after a loss of power too',
  { skip },
  async (t) => {
    await keptAfterPowerLoss(t, async (dir, durable) => {
      const { operator } = await keysOf(join(dir, 'keys'))
      const { ca } = await certificates(join(dir, 'tls'), ['localhost'])
      const authority = await readFile(ca, 'utf8')
      durable(async (tree) => {
        assert.equal((await keysOf(join(tree, 'keys'))).operator.publicKey, operator.publicKey)
        const again = await certificates(join(tree, 'tls'), ['localhost'])
        assert.equal(await readFile(again.ca, 'utf8'), authority)
      })
    })
  },
)
