/**
 * delivery: the SMTP client. Hands each outgoing recipient to its next hop, now or when it is due again.
 *
 *   reads    mail.out (durables "lane-00" … "lane-31"), the spool
 *   writes   mail.status, mail.out (scheduled retries)
 *
 * Settings and metrics: README.md.
 */
import { runService } from '@postbus/service'

import { deliveryService } from './service.ts'

await runService(deliveryService)
