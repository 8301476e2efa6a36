/**
 * Takes secrets out of what is about to be logged, at the top of a line and one level below. By hand: pino's own redaction
 * costs more than all else of a line when its paths have wildcards.
 */
import { pino } from 'pino'

type Fields = Record<string, unknown>

const SECRET_FIELDS: ReadonlySet<string> = new Set([
  ...['password', 'token', 'secret', 'seed', 'nkeySeed', 'authorization', 'credentials', 'privateKey'],
])
const HIDDEN = '(hidden)'

/** The same object where there is nothing to hide. */
export function withoutSecrets(fields: Fields): Fields {
  return replaced(fields, (name, value) => {
    // An error is written by `errorWithoutSecrets`, which must find it as it is.
    if (name === 'err' || typeof value !== 'object' || value === null) return value
    return replaced(value as Fields, same)
  })
}

/** For pino's serializers. */
export function errorWithoutSecrets(error: unknown): unknown {
  const written: unknown = error instanceof Error ? pino.stdSerializers.err(error) : error
  return typeof written === 'object' && written !== null ? replaced(written as Fields, same) : written
}

const same = (_name: string, value: unknown): unknown => value

function replaced(fields: Fields, valueOf: (name: string, value: unknown) => unknown): Fields {
  let copy: Fields | undefined
  for (const name in fields) {
    const value = fields[name]
    const shown = SECRET_FIELDS.has(name) ? HIDDEN : valueOf(name, value)
    if (shown === value) continue
    copy ??= { ...fields }
    copy[name] = shown
  }
  return copy ?? fields
}
