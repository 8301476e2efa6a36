/** Every service there is, by name. The only place that knows them all. */
import { custodyService } from '@postbus/custody'
import { deliveryService } from '@postbus/delivery'
import { directoryService } from '@postbus/directory'
import { imapService } from '@postbus/imap'
import { inboundService } from '@postbus/inbound'
import { mailstoreService } from '@postbus/mailstore'
import { routerService } from '@postbus/router'
import { submissionService } from '@postbus/submission'

export const definitions = {
  custody: custodyService,
  directory: directoryService,
  mailstore: mailstoreService,
  router: routerService,
  delivery: deliveryService,
  submission: submissionService,
  inbound: inboundService,
  imap: imapService,
} as const

export const isServiceName = (name: string): name is keyof typeof definitions => Object.hasOwn(definitions, name)
