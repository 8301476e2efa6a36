import assert from 'node:assert/strict'
import { test } from 'node:test'

import { WriteErrors } from './broker-disk.ts'

const GIB = 1024 ** 3
const ERROR = "[ERR] JetStream stream 'MAIL > MAIL_STATUS' critical write error: write 3.blk: no space left on device\n"

test('a broker that could not write is started anew once there is room, and once for each time', () => {
  const errors = new WriteErrors()
  errors.read('[INF] Server is ready\n')
  assert.equal(errors.curable(GIB), false)
  errors.read(ERROR.slice(0, 60))
  assert.equal(errors.curable(GIB), false, 'half a line')
  errors.read(ERROR.slice(60))
  assert.equal(errors.curable(4096), false, 'no room yet')
  assert.deepEqual([errors.curable(GIB), errors.curable(GIB)], [true, false])
  errors.read(ERROR)
  assert.equal(errors.curable(GIB), true)
})
