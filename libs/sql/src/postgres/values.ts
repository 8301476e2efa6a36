/** Columns as the rest of the platform knows them from SQLite: numbers, text, bytes, null. */

/** https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const BOOL = 16
const BYTEA = 17
const INT8 = 20
const INT2 = 21
const INT4 = 23
const OID = 26
const FLOAT4 = 700
const FLOAT8 = 701
const NUMERIC = 1700

const parsers = new Map<number, (text: string) => unknown>([
  [BOOL, (text) => (text === 't' ? 1 : 0)],
  [BYTEA, (text) => Uint8Array.fromHex(text.slice('\\x'.length))],
  [INT8, exactNumber],
  [INT2, Number],
  [INT4, Number],
  [OID, Number],
  [FLOAT4, Number],
  [FLOAT8, Number],
  [NUMERIC, exactNumber], // the sum of int8
])

const asText = (text: string): string => text

/** For `pg`: what reads a column of this type. JSON, dates and all else stay text. */
export const columnTypes = { getTypeParser: (type: number) => parsers.get(type) ?? asText }

/** @throws RangeError rather than rounding an integer */
function exactNumber(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
    throw new RangeError(`${text} is more than a number holds`)
  }
  return number
}

/** `pg` would write an object as JSON and a date in the local time zone; SQLite refuses them, and so do we. */
export function bindable(parameters: readonly unknown[]): unknown[] {
  return parameters.map((value, index) => {
    if (typeof value === 'boolean') return Number(value) // understood by integers and booleans
    if (value === null || isScalar(value) || value instanceof Uint8Array || Array.isArray(value)) return value
    throw new TypeError(`parameter ${index + 1} cannot be bound: ${Object.prototype.toString.call(value)}`)
  })
}

const isScalar = (value: unknown): boolean => ['string', 'number', 'bigint'].includes(typeof value)
