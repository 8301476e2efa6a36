/** docs/schemas/*.json: every contract as JSON Schema (2020-12), for readers and writers in other languages. */
import { contracts } from '@postbus/contracts'
import { z } from 'zod'

import { fileName } from './subjects.ts'

const jsonSchema = (schema: z.ZodType): object => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })

export function schemaFiles(): [string, string][] {
  return contracts.map((contract) => {
    const { name, purpose } = contract
    const schemas =
      contract.kind === 'request' || contract.kind === 'survey'
        ? { request: jsonSchema(contract.input), answer: jsonSchema(contract.output) }
        : contract.kind === 'rows'
          ? { request: jsonSchema(contract.input), row: jsonSchema(contract.row) }
          : { payload: jsonSchema(contract.schema) }
    const subject = 'subject' in contract && typeof contract.subject === 'string' ? contract.subject : undefined
    const document = {
      name,
      purpose,
      subject: subject ?? ('pattern' in contract ? contract.pattern : undefined),
      ...schemas,
    }
    return [`schemas/${fileName(name)}`, `${JSON.stringify(document, null, 2)}\n`]
  })
}
