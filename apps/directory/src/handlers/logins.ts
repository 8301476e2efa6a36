/** Logins and session tokens: authenticate, renewToken, openAccount, tokenKeys. */
import type { Stoppable } from '@postbus/bus'
import { authenticate, openAccount, renewToken, tokenKeys } from '@postbus/contracts'
import type { z } from 'zod'

import { type LoginTools, logIn } from '../accounts/log-in.ts'
import type { Tokens } from '../accounts/tokens.ts'
import { accountAt } from '../administration/accounts.ts'
import { formatName } from '../addresses/names.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { Refusal } from '../refusal.ts'
import type { DirectoryStore } from '../store.ts'
import type { Answer } from './answer.ts'

type LoginAnswer = z.input<typeof authenticate.output>

interface Tools {
  store: DirectoryStore
  login: LoginTools
  tokens: Tokens
  metrics: DirectoryMetrics
}

export function answerLogins(answer: Answer, { store, login, tokens, metrics }: Tools): Promise<Stoppable>[] {
  return [
    answer(authenticate, async ({ username, password, clientAddress, service }, { log }): Promise<LoginAnswer> => {
      const result = await logIn({ username, password, clientAddress }, store, login)
      metrics.loggedIn(service, result.kind)
      const facts = { username, clientAddress, service }
      if (result.kind === 'refused') {
        const { delayMs, cause } = result
        log.info({ ...facts, cause, delayMs }, 'login refused')
        return { kind: 'refused', delayMs }
      }
      if (result.kind === 'throttled') {
        const { retryAfterMs, by } = result
        log.info({ ...facts, by, retryAfterMs }, 'login throttled')
        return { kind: 'throttled', retryAfterMs }
      }
      const { account } = result
      log.info({ ...facts, account: account.account }, 'logged in')
      return {
        kind: 'accepted',
        account: account.account,
        address: formatName(account),
        ...(await tokens.issue(account)),
      }
    }),

    answer(renewToken, async ({ token }) => {
      const renewed = await tokens.renew(token)
      if (renewed === null) throw new Refusal('tokenInvalid', 'token: not good, or its account may not any more')
      return renewed
    }),

    answer(openAccount, async ({ address, by }, { log }) => {
      const account = await accountAt(address, store)
      log.info({ account: account.account, address, by }, 'mailboxes opened by an operator')
      return { account: account.account, ...(await tokens.issue(account)) }
    }),

    answer(tokenKeys, async () => ({ keys: await tokens.publicKeys() })),
  ]
}
