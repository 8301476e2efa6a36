import { randomBytes } from 'node:crypto'

/** No look-alikes, and nothing a shell or an option parser takes for something else. 32 of them: five bits each. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789'
const LENGTH = 20

/** A password of 100 bits. */
export const generatedPassword = (): string =>
  Array.from(randomBytes(LENGTH), (byte) => LETTERS[byte % LETTERS.length]).join('')
