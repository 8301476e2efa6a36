/** A LIST response about one mailbox, where another command than LIST has one — RFC 9051 §7.3.1. */
import { encodeMailbox, SEPARATOR } from '@postbus/imap-wire'

interface Options {
  utf8: boolean
  /** What the mailbox is no longer called, or is called only by this client — RFC 9051 §6.3.9.7. */
  oldName: string
}

export function listResponse(name: string, { utf8, oldName }: Options): string {
  const encode = (name: string): string => encodeMailbox(name, { utf8 })
  const line = `* LIST () "${SEPARATOR}" ${encode(name)}`
  return oldName === name ? line : `${line} ("OLDNAME" (${encode(oldName)}))`
}
