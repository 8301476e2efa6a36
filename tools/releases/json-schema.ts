import { z } from 'zod'

/** What a writer has to keep to, as JSON Schema 2020-12. Rules that only code can state are missing. */
export const jsonSchema = (schema: z.ZodType): z.core.JSONSchema.BaseSchema =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
