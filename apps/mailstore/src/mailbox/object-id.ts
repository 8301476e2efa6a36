/**
 * Object identifiers: a letter that says of what, and a number the storage gives out once — RFC 8474 §4, §5. What was given
 * out after a backup was made is not given out again when the backup is restored (see renewUidValidities).
 */

export const mailboxId = (mailbox: number): string => `F${mailbox}`

export const emailId = (email: number): string => `M${email}`

/** Null: no message has this one. */
export function parseEmailId(id: string): number | null {
  const number = /^M([1-9][0-9]{0,15})$/.exec(id)?.[1]
  return number === undefined ? null : Number(number)
}
