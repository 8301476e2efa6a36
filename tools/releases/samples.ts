/** Values a JSON Schema allows, for trying one version of a contract on another. Knows what zod writes, and refuses the rest. */
import fc, { type Arbitrary } from 'fast-check'
import type { z } from 'zod'

import { jsonSchema } from './json-schema.ts'

type Schema = z.core.JSONSchema.BaseSchema

const MAX_ITEMS = 3
const MAX_TEXT = 40
/** Of as many values as samples are wanted: where rules in code let few through, more have to be made. */
const ROUNDS = 100
/** Which of an object's optional keys are there. A reader that needs one of them, or trips over one, shall be found out. */
const FORMS = ['none', 'all', 'some'] as const
type Form = (typeof FORMS)[number]

/** Up to `count` in each form, the same ones at every call. @throws Error where hardly any value made is one the schema accepts */
export function samplesOf(schema: z.ZodType, count: number): unknown[] {
  const samples = FORMS.flatMap((form) => inForm(form, schema, count))
  if (samples.length < count) throw new Error(`of all values made the schema accepts only ${samples.length}`)
  return samples
}

function inForm(form: Form, schema: z.ZodType, count: number): unknown[] {
  const written = jsonSchema(schema)
  const arbitrary = arbitraryOf(written, { root: written, form, depth: 0 })
  const samples: unknown[] = []
  for (let seed = 1; seed <= ROUNDS && samples.length < count; seed++) {
    const made = fc.sample(arbitrary, { seed, numRuns: count })
    samples.push(...made.filter((value) => schema.safeParse(value).success))
  }
  return samples.slice(0, count)
}

interface Making {
  root: Schema
  form: Form
  depth: number
}

function arbitraryOf(schema: Schema | boolean, making: Making): Arbitrary<unknown> {
  const { root, form, depth } = making
  if (typeof schema === 'boolean') return fc.jsonValue({ maxDepth: 1 })
  const inner = (part: Schema | boolean): Arbitrary<unknown> => arbitraryOf(part, { ...making, depth: depth + 1 })
  if (schema.$ref !== undefined) return inner(referred(schema.$ref, root))
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  // Deep inside, the simplest of the choices, or a schema that contains itself never ends.
  if (choices !== undefined) return depth > 6 ? inner(simplest(choices)) : fc.oneof(...choices.map(inner))
  // A list, written elsewhere in the library than its type knows.
  const types: unknown = schema.type
  if (Array.isArray(types)) return fc.oneof(...types.map((type) => inner({ ...schema, type })))
  switch (schema.type) {
    case 'object':
      return objects(schema, form, inner)
    case 'array': {
      if (schema.prefixItems !== undefined) return fc.tuple(...schema.prefixItems.map(inner))
      const least = schema.minItems ?? 0
      const most = Math.min(Math.max(least, depth > 6 ? 0 : MAX_ITEMS), schema.maxItems ?? MAX_ITEMS)
      const item = Array.isArray(schema.items) ? true : (schema.items ?? true)
      return fc.array(inner(item), { minLength: least, maxLength: most })
    }
    case 'string':
      return strings(schema)
    case 'integer':
      return fc.integer({ min: least(schema), max: schema.maximum ?? 1000 })
    case 'number':
      return fc.double({ min: least(schema), max: schema.maximum ?? 1000, noNaN: true }).map((value) => value + 0)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case undefined:
      return fc.jsonValue({ maxDepth: 1 })
    default:
      throw new Error(`not a type that zod writes: ${JSON.stringify(schema.type)}`)
  }
}

function objects(
  schema: Schema,
  form: Form,
  inner: (part: Schema | boolean) => Arbitrary<unknown>,
): Arbitrary<unknown> {
  const required = schema.required ?? []
  const properties = Object.entries(schema.properties ?? {}).filter(
    ([name]) => form !== 'none' || required.includes(name),
  )
  const parts = Object.fromEntries(properties.map(([name, part]) => [name, inner(part)]))
  const requiredKeys = form === 'all' ? Object.keys(parts) : required
  const known = fc.record(parts, { requiredKeys, noNullPrototype: true })
  if (schema.propertyNames === undefined || schema.additionalProperties === undefined) return known
  const names = inner(schema.propertyNames).filter((name) => typeof name === 'string')
  return fc.dictionary(names, inner(schema.additionalProperties), { maxKeys: MAX_ITEMS, noNullPrototype: true })
}

function strings({ pattern, minLength = 0, maxLength = MAX_TEXT, contentEncoding, format }: Schema): Arbitrary<string> {
  const most = Math.max(minLength, Math.min(maxLength, MAX_TEXT))
  if (contentEncoding === 'base64' || format === 'base64') return fc.base64String({ maxLength: most })
  if (pattern === undefined) return fc.string({ minLength, maxLength: most })
  return fc.stringMatching(new RegExp(pattern)).filter((text) => text.length >= minLength && text.length <= maxLength)
}

/** A number, in the versions of JSON Schema since 2019. */
const least = ({ minimum, exclusiveMinimum }: Schema): number =>
  typeof exclusiveMinimum === 'number' ? exclusiveMinimum + 1 : (minimum ?? 0)

/** The one with the shortest text: a schema that refers to itself is longer than its leaves. */
const simplest = (choices: readonly (Schema | boolean)[]): Schema | boolean =>
  choices.toSorted((one, other) => JSON.stringify(one).length - JSON.stringify(other).length)[0] ?? true

function referred(reference: string, root: Schema): Schema | boolean {
  const found = root.$defs?.[reference.replace('#/$defs/', '')]
  if (found === undefined) throw new Error(`${reference} is not in the schema`)
  return found
}
