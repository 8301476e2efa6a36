import { runService } from '@postbus/service'

import { imapService } from './service.ts'

await runService(imapService)
