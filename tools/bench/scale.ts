/**
 * What scale-out costs: messages per second from port 25 into the mailboxes, and CPU time per message, with more and more routers and
 * mailstores on the same cores. The embedded profile stands beside it.
 *
 *   npm run bench -- scale --replicas 1,2,4
 */
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { describe, loadOf, loadOptions, oneRound, type Round } from './flow.ts'
import { startPlatform } from './platform.ts'
import { inTemporaryDirectory, print } from './rounds.ts'

export async function scale(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      ...loadOptions,
      rounds: { type: 'string', default: '3' },
      replicas: { type: 'string', default: '1,2,4' },
      start: { type: 'string', multiple: true, default: [] },
    },
  })
  const load = loadOf(values)
  const counts = values.replicas.split(',').map(Number)
  const each = 'custody=1,directory=1,delivery=1,submission=1,inbound=1,imap=1,pop3=1'
  const setups = [
    { name: 'embedded', args: ['--processes'] },
    ...counts.map((count) => ({
      name: `scale-out, ${count} router, ${count} mailstore`,
      args: ['--profile', 'scale-out', '--replicas', `${each},router=${count},mailstore=${count}`, ...values.start],
    })),
  ]
  print(`${load.messages} messages of ${load.bytes} octets, ${load.sessions} sessions, ${values.rounds} rounds each`)
  for (const setup of setups) {
    await inTemporaryDirectory(async (dir) => {
      // PostgreSQL under root runs as somebody else, who must be able to get there.
      await chmod(dir, 0o711)
      const platform = await startPlatform(join(dir, 'data'), setup.args)
      try {
        const rounds: Round[] = []
        for (let round = 1; round <= Number(values.rounds); round++) rounds.push(await oneRound(platform, load, round))
        print(describe(setup.name, rounds))
      } finally {
        await platform.stop()
      }
    })
  }
}
