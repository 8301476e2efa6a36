/** docs/configuration.md: every setting of every service, from the schemas they are checked against; and their names alone. */
import { commonConfig } from '@postbus/service'
import { z } from 'zod'

import { loadService, serviceNames } from '../run/services.ts'

/** What z.toJSONSchema says of one setting, as far as a reader wants to know. */
const Property = z.looseObject({
  description: z.string().optional(),
  default: z.unknown().optional(),
  type: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
})
type Property = z.infer<typeof Property>

const JsonSchema = z.looseObject({
  properties: z.record(z.string(), Property),
  required: z.array(z.string()).default([]),
})

/** What `--set` may name: read by the start command, which loads no service. */
export async function settingNames(): Promise<string> {
  const services = await Promise.all(serviceNames.map(loadService))
  const schemas = [z.object(commonConfig), ...services.map(({ config }) => config)]
  const names = new Set(schemas.flatMap((schema) => Object.keys(propertiesOf(schema).properties)))
  return `${JSON.stringify([...names].sort(), null, 2)}\n`
}

export async function configurationPage(): Promise<string> {
  const common = propertiesOf(z.object(commonConfig))
  const services = await Promise.all(serviceNames.map(loadService))
  const own = services.map(({ name, config }) => {
    const { properties, required } = propertiesOf(config)
    const mine = Object.fromEntries(Object.entries(properties).filter(([setting]) => !(setting in common.properties)))
    return `## ${name}\n\n${table(mine, required)}`
  })
  return `# Settings

Generated from each service's \`config.ts\` by \`tools/gen-docs\`; do not edit. Settings are environment variables, or lines
\`NAME=value\` of the file that \`CONFIG_FILE\` names; the environment wins. A service that finds a setting it cannot use names it, the value and
what is allowed, and exits with 78.

## Every service

${table(common.properties, common.required)}
${own.join('\n')}`
}

function propertiesOf(schema: z.ZodType): z.infer<typeof JsonSchema> {
  return JsonSchema.parse(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: showSwitch }))
}

/** `z.stringbool()` reads a string, of which JSON Schema says nothing more; a default is a boolean. */
function showSwitch({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodType
  jsonSchema: z.core.JSONSchema.BaseSchema
}): void {
  if (!(zodSchema instanceof z.ZodDefault) || typeof zodSchema.def.defaultValue !== 'boolean') return
  Object.assign(jsonSchema, { default: zodSchema.def.defaultValue, enum: ['true', 'false'] })
}

function table(properties: Record<string, Property>, required: readonly string[]): string {
  const rows = Object.entries(properties).map(
    ([name, property]) =>
      `| \`${name}\` | ${defaultOf(property, required.includes(name))} | ${allowed(property)} | ${property.description ?? ''} |\n`,
  )
  return rows.length === 0
    ? 'None of its own.\n'
    : `| setting | default | allowed | meaning |\n| --- | --- | --- | --- |\n${rows.join('')}`
}

function defaultOf({ default: value }: Property, required: boolean): string {
  if (value === '') return '(empty)'
  if (value !== undefined) return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
  return required ? '(must be set)' : '–'
}

function allowed({ enum: values, type, minimum, exclusiveMinimum, maximum }: Property): string {
  if (values) return values.map((value) => `\`${String(value)}\``).join(', ')
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + 1)
  // JavaScript's own bounds are no news to an administrator.
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum
  if (least === undefined && most === undefined) return type ?? ''
  return `${least ?? '…'} to ${most ?? '…'}`
}
