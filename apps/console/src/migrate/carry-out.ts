/**
 * Brings a plan into the directory. What is there already stays as it is, so that the same call may come again; what is there
 * and otherwise is named.
 */
import type { Bus } from '@postbus/bus'
import { RequestRefused } from '@postbus/bus'
import {
  addAccount,
  addAlias,
  addDomain,
  addTransport,
  changeDomain,
  listAliases,
  listDomains,
  type RequestContract,
} from '@postbus/contracts'
import type { z } from 'zod'

import type { NewAlias, NewDomain, Plan } from './plan.ts'

type Kind = 'domain' | 'account' | 'alias' | 'transport'

export interface CarriedOut {
  added: Record<Kind, number>
  /** There already. */
  known: Record<Kind, number>
  /** Not brought in, or otherwise than planned; each with the reason. */
  refused: string[]
}

export async function carryOut(plan: Plan, bus: Pick<Bus, 'request'>): Promise<CarriedOut> {
  const zero = { domain: 0, account: 0, alias: 0, transport: 0 }
  const result: CarriedOut = { added: { ...zero }, known: { ...zero }, refused: [] }

  async function add<I extends z.ZodType, O extends z.ZodType>(
    kind: Kind,
    name: string,
    contract: RequestContract<I, O>,
    input: z.input<I>,
  ): Promise<'added' | 'known' | 'refused'> {
    try {
      await bus.request(contract, input)
      result.added[kind]++
      return 'added'
    } catch (error) {
      if (!(error instanceof RequestRefused)) throw error
      if (error.code === 'exists') {
        result.known[kind]++
        return 'known'
      }
      result.refused.push(`${kind} ${name}: ${error.message}`)
      return 'refused'
    }
  }

  // What others point to comes first.
  for (const domain of plan.domains.toSorted((one, other) => order(one) - order(other))) {
    const { catchAll: _, ...input } = domain
    if ((await add('domain', domain.domain, addDomain, input)) === 'known') await compareDomain(domain)
  }
  for (const { maildir: _, ...account } of plan.accounts) await add('account', account.address, addAccount, account)
  for (const alias of plan.aliases) {
    if ((await add('alias', alias.address, addAlias, alias)) === 'known') await compareAlias(alias)
  }
  for (const { domain, catchAll } of plan.domains) {
    if (catchAll === undefined) continue
    await bus.request(changeDomain, { domain, catchAll }).catch((error: unknown) => {
      if (!(error instanceof RequestRefused)) throw error
      result.refused.push(`catch-all of ${domain}: ${error.message}`)
    })
  }
  for (const transport of plan.transports) await add('transport', transport.name, addTransport, transport)
  return result

  async function compareDomain({ domain, kind }: NewDomain): Promise<void> {
    const [there] = (await bus.request(listDomains, { domain })).domains
    if (there !== undefined && there.kind !== kind)
      result.refused.push(`domain ${domain}: is ${there.kind} here, ${kind} there`)
  }

  async function compareAlias({ address, members }: NewAlias): Promise<void> {
    const [there] = (await bus.request(listAliases, { address })).aliases
    const same = there !== undefined && new Set(there.members).symmetricDifference(new Set(members)).size === 0
    if (!same)
      result.refused.push(`alias ${address}: is ${there === undefined ? 'an account' : there.members.join(', ')} here`)
  }
}

const order = ({ kind }: NewDomain): number => (kind === 'local' ? 0 : 1)
