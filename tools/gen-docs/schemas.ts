/** docs/schemas/*.json: every contract as JSON Schema (2020-12), for readers and writers in other languages. */
import { contracts, schemasOf, subjectOf } from '@postbus/contracts'

import { jsonSchema } from '../releases/json-schema.ts'
import { fileName } from './subjects.ts'

export function schemaFiles(): [string, string][] {
  return contracts.map((contract) => {
    const { name, purpose } = contract
    const schemas = Object.fromEntries(schemasOf(contract).map(([said, schema]) => [said, jsonSchema(schema)]))
    const document = { name, purpose, subject: subjectOf(contract), ...schemas }
    return [`schemas/${fileName(name)}`, `${JSON.stringify(document, null, 2)}\n`]
  })
}
