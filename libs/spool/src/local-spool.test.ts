import { spoolContract } from './spool.contract.ts'
import { openSpoolKeeper, openSpoolReader, openSpoolWriter } from './index.ts'
import { temporaryDirectory } from '../test/temporary.ts'

spoolContract('A local directory', async (t) => {
  const dir = await temporaryDirectory(t)
  return {
    writer: () => openSpoolWriter(dir, { writerName: 'test' }),
    reader: () => openSpoolReader(dir),
    keeper: () => openSpoolKeeper(dir),
  }
})
