/**
 * router: decides where each accepted message goes next.
 *
 *   reads    mail.accepted (durable "router")
 *   writes   mail.status, mail.local, mail.out
 *   asks     directory.resolve
 *
 * Settings and metrics: README.md.
 */
import { runService } from '@postbus/service'

import { routerService } from './service.ts'

await runService(routerService)
