import { runService } from '@postbus/service'

import { mailstoreService } from './service.ts'

await runService(mailstoreService)
