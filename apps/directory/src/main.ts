/**
 * directory: who an address is, who is logging in, what an account may send. The only one who knows passwords.
 *
 *   answers  rpc.directory.v1.*
 *   hints    directory.changed
 *   keeps    domains, accounts, credentials, aliases, sending counters, DKIM keys, signing keys (SQLite)
 *
 * Settings and metrics: README.md.
 */
import { runService } from '@postbus/service'

import { directoryService } from './service.ts'

await runService(directoryService)
