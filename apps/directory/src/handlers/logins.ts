/** Logins and session tokens: authenticate, scramStart, scramFinish, authenticateBearer, renewToken, openAccount, tokenKeys. */
import type { AnswerContext, Stoppable } from '@postbus/bus'
import {
  authenticate,
  authenticateBearer,
  openAccount,
  renewToken,
  scramFinish,
  scramStart,
  tokenKeys,
} from '@postbus/contracts'
import type { z } from 'zod'

import { logInWithBearer, type VerifyBearer } from '../accounts/bearer.ts'
import { type Login, type LoginTools, logIn } from '../accounts/log-in.ts'
import { finishScram, type ScramTools, startScram } from '../accounts/scram.ts'
import type { Tokens } from '../accounts/tokens.ts'
import { accountAt } from '../administration/accounts.ts'
import { formatName } from '../addresses/names.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { Refusal } from '../refusal.ts'
import type { DirectoryStore } from '../store.ts'
import type { Answer } from './answer.ts'

type LoginAnswer = z.input<typeof authenticate.output>

interface Facts {
  username: string
  clientAddress: string
  service: 'submission' | 'imap' | 'pop3'
  with: 'password' | 'scram' | 'bearer'
}

interface Tools {
  store: DirectoryStore
  login: LoginTools
  tokens: Tokens
  scram: ScramTools
  bearer: VerifyBearer
  metrics: DirectoryMetrics
}

export function answerLogins(
  answer: Answer,
  { store, login, tokens, scram, bearer, metrics }: Tools,
): Promise<Stoppable>[] {
  async function answered(result: Login, facts: Facts, log: AnswerContext['log']): Promise<LoginAnswer> {
    metrics.loggedIn(facts.service, result.kind)
    if (result.kind === 'refused') {
      const { delayMs, cause } = result
      log.info({ ...facts, cause, delayMs }, 'login refused')
      return { kind: 'refused', delayMs, ...(cause === 'tokenExpired' && { expired: true }) }
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
  }

  return [
    answer(authenticate, async ({ username, password, clientAddress, service }, { log }) => {
      const result = await logIn({ username, password, clientAddress }, store, login)
      return answered(result, { username, clientAddress, service, with: 'password' }, log)
    }),

    answer(scramStart, async (claim) => startScram(claim, store, scram)),

    answer(scramFinish, async ({ proof, service, ...end }, { log }) => {
      const { clientAddress } = end
      const ended = await finishScram({ ...end, proof: Buffer.from(proof, 'base64') }, store, { ...login, ...scram })
      const { username, login: result, serverSignature } = ended
      const given = await answered(result, { username, clientAddress, service, with: 'scram' }, log)
      if (given.kind !== 'accepted') return given
      return { ...given, serverSignature: Buffer.from(serverSignature).toString('base64') }
    }),

    answer(authenticateBearer, async ({ username, token, clientAddress, service }, { log }) => {
      const claim = { username, token, clientAddress }
      const result = await logInWithBearer(claim, store, { throttle: login.throttle, verify: bearer })
      return answered(result, { username, clientAddress, service, with: 'bearer' }, log)
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
