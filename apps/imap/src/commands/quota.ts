/**
 * GETQUOTA, GETQUOTAROOT and SETQUOTA — RFC 9208.
 *
 * All mailboxes of an account are under one root, which is there as long as the account has a limit; operators set it, not clients.
 */
import { quotaOf } from '@postbus/contracts'
import { encodeMailbox, type Arguments } from '@postbus/imap-wire'

import { afterLogin, type InAccount } from '../command.ts'
import { no, refusing } from '../reply.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'

const ROOT = ''
/** RFC 9208 §5.1: STORAGE counts these. */
export const STORAGE_UNIT = 1024
const MAX_RESOURCES = 10

export const getQuota = afterLogin({
  name: 'GETQUOTA',
  parse: (args) => args.space().astring('a quota root'),
  run: async (context, root) => {
    const response = await quotaResponse(context)
    if (root !== ROOT || response === null) throw no('NONEXISTENT', 'No such quota root')
    context.session.out.line(response)
    return { text: 'GETQUOTA completed' }
  },
})

export const getQuotaRoot = afterLogin({
  name: 'GETQUOTAROOT',
  // RFC 9208 §4.1.2: it need not exist yet.
  parse: (args) => mailboxArgument(args.space()),
  run: async (context, name) => {
    const { out, enabled } = context.session
    const response = await quotaResponse(context)
    out.line(`* QUOTAROOT ${encodeMailbox(name, enabled)}${response === null ? '' : ` "${ROOT}"`}`)
    if (response !== null) out.line(response)
    return { text: 'GETQUOTAROOT completed' }
  },
})

export const setQuota = afterLogin({
  name: 'SETQUOTA',
  parse: (args) => {
    args.space().astring('a quota root')
    args.space().list(() => parseLimit(args), { empty: true, max: MAX_RESOURCES })
  },
  run: async () => {
    throw no('NOPERM', 'Quotas are set by the operator')
  },
})

function parseLimit(args: Arguments): void {
  args.atom('a resource')
  args.space().number64('a limit')
}

/** Null where there is no limit, and so no root — RFC 9208 §3. */
async function quotaResponse({ account }: InAccount): Promise<string | null> {
  const { usedBytes, limitBytes } = await refusing(account.ask(quotaOf, (token) => ({ token })))
  if (limitBytes === null) return null
  const [used, limit] = [Math.ceil(usedBytes / STORAGE_UNIT), Math.floor(limitBytes / STORAGE_UNIT)]
  return `* QUOTA "${ROOT}" (STORAGE ${used} ${limit})`
}
