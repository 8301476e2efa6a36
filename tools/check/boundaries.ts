/**
 * Plants violations of the import rules and sees each refused: a rule that cannot fail protects nothing.
 * (The rule of @nx/eslint-plugin stays silent when no project graph is cached, so this also proves that lint runs it.)
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { root, run } from './run.ts'

const planted: { project: string; file: string; source: string; refusal: RegExp }[] = [
  {
    project: '@postbus/router',
    file: 'apps/router/src/planted-app.ts',
    source: "import { mailstoreService } from '@postbus/mailstore'\nvoid mailstoreService\n",
    refusal: /planted-app\.ts[\s\S]*?enforce-module-boundaries/,
  },
  {
    project: '@postbus/inbound',
    file: 'apps/inbound/src/planted-nats.ts',
    source: "import { connect } from '@nats-io/transport-node'\nvoid connect\n",
    refusal: /planted-nats\.ts[\s\S]*?enforce-module-boundaries/,
  },
  {
    project: '@postbus/smtp',
    file: 'libs/smtp/src/planted-infra.ts',
    source: "import { connectBus } from '@postbus/bus'\nvoid connectBus\n",
    refusal: /planted-infra\.ts[\s\S]*?enforce-module-boundaries/,
  },
  {
    project: '@postbus/intake',
    file: 'libs/intake/src/planted-deep.ts',
    source: "import { gather } from '../../batch/src/gather.ts'\nvoid gather\n",
    refusal: /planted-deep\.ts[\s\S]*?enforce-module-boundaries/,
  },
  {
    project: '@postbus/delivery',
    file: 'apps/delivery/src/attempt/planted-decision.ts',
    source: "import { createServer } from 'node:net'\nvoid createServer\n",
    refusal: /planted-decision\.ts[\s\S]*?no-restricted-imports/,
  },
  {
    project: '@postbus/spool',
    file: 'libs/spool/src/planted-testkit.ts',
    source: "import '@postbus/testkit'\n",
    refusal: /planted-testkit\.ts[\s\S]*?enforce-module-boundaries/,
  },
]

export async function checkBoundaries(): Promise<boolean> {
  const paths = planted.map(({ file }) => join(root, file))
  const clear = (): Promise<void[]> => Promise.all(paths.map((path) => rm(path, { force: true })))
  const stop = (): void => void clear().then(() => process.exit(130))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    await Promise.all(planted.map(({ source }, index) => writeFile(paths[index] as string, source)))
    const projects = planted.map(({ project }) => project).join(',')
    const args = ['run-many', '-t', 'lint', '-p', projects, '--parallel=2', '--output-style=static', '--skip-nx-cache']
    const { output } = await run('nx', args, { quiet: true })
    const missed = planted.filter(({ refusal }) => !refusal.test(output))
    for (const { file } of missed) process.stdout.write(`not refused: ${file}\n`)
    process.stdout.write(`${planted.length - missed.length} of ${planted.length} planted violations refused\n`)
    return missed.length === 0
  } finally {
    await clear()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}
