/**
 * inbound: mail from other hosts, on port 25.
 *
 *   writes  mail.accepted (origin inbound), after the spool record is durable and before the 250
 *   asks    directory.resolve, for each recipient at RCPT
 *   hears   directory.changed
 *
 * Settings and metrics: README.md.
 */
import { runService } from '@postbus/service'

import { inboundService } from './service.ts'

await runService(inboundService)
