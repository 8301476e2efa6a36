import { statusWriter } from '@postbus/bus'
import { MailAccepted, MailLocal, MailOut, MailStatus } from '@postbus/contracts'
import { resolverOptions, resolverOver } from '@postbus/directory-client'
import { defineService } from '@postbus/service'

import { RouterConfig } from './config.ts'
import { onMailAccepted } from './handlers/mail-accepted.ts'
import { routerMetrics, routerTable } from './metrics.ts'
import { type RouteLimits, routeMessage } from './routing/route-message.ts'

export const routerService = defineService<RouterConfig>({
  name: 'router',
  config: RouterConfig,
  metrics: [routerTable],
  async start({ config, bus, metrics, defer, signal }) {
    await bus.provisioned([MailAccepted, MailStatus, MailLocal, MailOut], signal)
    const directory = resolverOver(bus, resolverOptions(config))
    defer(() => directory.close())
    const statuses = statusWriter(bus)
    const { routed } = routerMetrics(metrics)
    const limits: RouteLimits = {
      maxDepth: config.ROUTER_MAX_DEPTH,
      maxAddresses: config.ROUTER_MAX_ADDRESSES,
      maxRecipients: config.ROUTER_MAX_RECIPIENTS,
      maxQueueTimeMs: config.ROUTER_MAX_QUEUE_TIME * 1000,
      shards: config.MAIL_OUT_SHARDS,
    }
    const ports = { resolve: directory.resolve, now: () => new Date() }

    const accepted = await bus.consume(
      MailAccepted,
      'router',
      { maxInFlight: config.ROUTER_MAX_IN_FLIGHT },
      onMailAccepted({
        route: (event) => routeMessage(event, ports, limits),
        writeStatuses: statuses.write,
        publish: (contract, event, options) => bus.publish(contract, event, options),
        routed,
      }),
    )
    defer(() => accepted.stop())
  },
})
