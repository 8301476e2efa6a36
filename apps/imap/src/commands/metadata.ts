/**
 * GETMETADATA and SETMETADATA — RFC 5464.
 *
 * Mailboxes belong to one account, so what is shared there is shared among its clients. Of the server as a whole every account has
 * private annotations of its own; shared ones would be everybody's, and nobody may set them.
 */
import { getMetadata as getAnnotations, MAX_METADATA_BYTES, setMetadata as setAnnotations } from '@postbus/contracts'
import {
  encodeAstring,
  encodeMailbox,
  encodeOctets,
  parseGetMetadata,
  parseSetMetadata,
  type GetMetadata,
} from '@postbus/imap-wire'

import { afterLogin, type Completed, type InAccount } from '../command.ts'
import { no, refusing, refusingRows } from '../reply.ts'

export const getMetadata = afterLogin({
  name: 'GETMETADATA',
  parse: (args) => parseGetMetadata(args.space()),
  run: answer,
})

export const setMetadata = afterLogin({
  name: 'SETMETADATA',
  parse: (args) => parseSetMetadata(args.space()),
  run: async ({ account }, { name, entries }) => {
    if (name === '' && entries.some(({ entry }) => entry.startsWith('/shared/')))
      throw no('NOPERM', 'Shared annotations of the server are not yours to set')
    // RFC 6154 §4: never taken as it comes. A use is given by CREATE.
    if (entries.some(({ entry }) => entry === '/private/specialuse'))
      throw no('CANNOT', 'The special use of a mailbox is given when it is created')
    if (entries.some(({ value }) => value !== null && value.length > MAX_METADATA_BYTES))
      throw no(`METADATA MAXSIZE ${MAX_METADATA_BYTES}`, 'The value is too large')
    const encoded = entries.map(({ entry, value }) => ({
      entry,
      value: value === null ? null : Buffer.from(value).toString('base64'),
    }))
    await refusing(
      account.ask(setAnnotations, (token) => ({ token, name, entries: encoded })),
      { limit: () => no('METADATA TOOMANY', 'Too many annotations') },
    )
    return { text: 'SETMETADATA completed' }
  },
})

async function answer(context: InAccount, wanted: GetMetadata): Promise<Completed> {
  const longest = await tellMetadata(context, wanted)
  const text = 'GETMETADATA completed'
  return longest > 0 ? { code: `METADATA LONGENTRIES ${longest}`, text } : { text }
}

/** @returns octets of the longest value that was left out, or 0 */
export async function tellMetadata({ session, account }: InAccount, wanted: GetMetadata): Promise<number> {
  const { name, entries, depth, maxSize } = wanted
  const { out, enabled } = session
  const missing = new Set(entries)
  let longest = 0
  let begun = false
  const write = (entry: string, value: Uint8Array | null): void => {
    out.write(begun ? ' ' : `* METADATA ${encodeMailbox(name, enabled)} (`)
    out.write(`${encodeAstring(entry)} `)
    out.write(value === null ? 'NIL' : encodeOctets(value))
    begun = true
  }
  const asked = account.rows(getAnnotations, (token) => ({ token, name, entries, depth }))
  try {
    for await (const { row, bytes } of refusingRows(asked)) {
      missing.delete(row.entry)
      const [value = new Uint8Array(0)] = bytes
      if (maxSize !== undefined && value.length > maxSize) longest = Math.max(longest, value.length)
      else write(row.entry, value)
    }
    // Who names one entry wants to hear that it is not there; who asks for all below a name does not.
    if (depth === '0') for (const entry of missing) write(entry, null)
  } finally {
    // Also when the rest does not come: NO stands on a line of its own.
    if (begun) out.line(')')
  }
  if (out.full) await out.room()
  return longest
}
