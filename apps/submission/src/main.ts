/**
 * submission: mail from the users' own clients, on ports 587 and 465.
 *
 *   writes  mail.accepted (origin submission), after the spool record is durable and before the 250
 *   asks    directory.authenticate, directory.checkSender, directory.resolve, directory.spendSending
 *   hears   directory.changed
 *
 * Settings and metrics: README.md.
 */
import { runService } from '@postbus/service'

import { submissionService } from './service.ts'

await runService(submissionService)
