/** The schemas of a contract, by what is said with each. */
import type { z } from 'zod'

import type { Contract } from './define.ts'

export type Said = 'payload' | 'request' | 'answer' | 'row'

export function schemasOf(contract: Contract): [Said, z.ZodType][] {
  switch (contract.kind) {
    case 'request':
    case 'survey':
      return [
        ['request', contract.input],
        ['answer', contract.output],
      ]
    case 'rows':
      return [
        ['request', contract.input],
        ['row', contract.row],
      ]
    case 'event':
    case 'hint':
      return [['payload', contract.schema]]
  }
}

/** The subject, with its places, as it is written in documentation. */
export const subjectOf = (contract: Contract): string => ('pattern' in contract ? contract.pattern : contract.subject)
