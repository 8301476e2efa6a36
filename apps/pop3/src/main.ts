/** pop3: lets clients fetch and remove the messages of their INBOX. Settings and metrics: README.md. */
import { runService } from '@postbus/service'

import { pop3Service } from './service.ts'

await runService(pop3Service)
