/** What an operator sees of one message: its trace at a collector, its lines in the logs, the state of the platform. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startOtlpReceiver } from '@postbus/testkit'

import { imapClientOf, messages } from '../mailboxes.ts'
import { startOutbound } from '../outbound.ts'
import { until } from '../platform.ts'
import { addAccounts } from '../postbus.ts'
import { settled } from '../reports.ts'
import { bySwaks, submit } from '../sending.ts'
import { spanTree } from '../span-tree.ts'

const ZONE = `
  far.test.  MX 10 mx.far.test.
  mx.far.test.  A  127.0.0.2
`

test('what happens is told', async (t) => {
  const collector = await startOtlpReceiver(t)
  const { platform } = await startOutbound(t, {
    zone: ZONE,
    sinks: { mx: { host: '127.0.0.2' } },
    settings: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
  })
  const ready = platform.ready()
  const { ann, bob } = await addAccounts(ready, ['ann', 'bob'])

  const traceOf = (queueId: string): string =>
    collector.spans.find(({ attributes }) => attributes['postbus.queue_id'] === queueId)?.traceId ?? ''
  /** The tree of a message once its parts are there. */
  async function treeOf(queueId: string, names: readonly string[]): Promise<ReturnType<typeof spanTree>> {
    const tree = () => spanTree(collector.spans, traceOf(queueId))
    await until(
      () => {
        const { text, orphans, roots } = tree()
        return names.every((name) => text.includes(name)) && orphans.length === 0 && roots.length === 1
      },
      20_000,
      () =>
        `the trace of ${queueId} lacks ${names.filter((name) => !tree().text.includes(name)).join(', ')}:\n${tree().text}`,
    )
    return tree()
  }

  await t.test('a message to two places is one tree, through every service that touched it', async () => {
    const queueId = await submit(ready, ann, [bob.address, 'carol@far.test'])
    await settled(platform, queueId)
    const tree = await treeOf(queueId, ['SMTP reply', 'db deliver', 'db commit books'])
    t.diagnostic(tree.text)
    console.log(tree.text)
    assert.equal(tree.roots[0]?.name, 'SMTP session')
    const services = ['submission', 'directory', 'router', 'mailstore', 'delivery', 'custody']
    assert.deepEqual([...tree.services].sort(), services.map((name) => `postbus-${name}`).sort())
  })
  void bySwaks
  void imapClientOf
  void messages
})
