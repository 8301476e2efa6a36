/**
 * Names of mailboxes as folders of a Maildir++: `.Work.2026` in the directory that is INBOX itself, in modified UTF-7. A dot in
 * a level, which Maildir++ has no way to write, is written as UTF-7 would write it if it had to.
 */
import { decodeUtf7, encodeUtf7, ImapNameError } from '@postbus/imap-wire'

export const INBOX = 'INBOX'
const DOT = '&AC4-'

/** '' is the directory itself. */
export function folderOf(mailbox: string): string {
  if (mailbox === INBOX) return ''
  const levels = mailbox.split('/').map((level) => encodeUtf7(level).replaceAll('.', DOT))
  return `.${levels.join('.')}`
}

/** Null: not the name of a folder. */
export function mailboxOf(folder: string): string | null {
  if (!folder.startsWith('.') || folder === '.' || folder === '..') return null
  const levels = folder.slice(1).split('.').map(levelOf)
  return levels.some((level) => level === '' || level.includes('/')) ? null : levels.join('/')
}

/** What is no UTF-7 is taken as it stands, as other software wrote it. */
export function levelOf(text: string): string {
  try {
    return text.split(DOT).map(decodeUtf7).join('.')
  } catch (error) {
    if (error instanceof ImapNameError) return text
    throw error
  }
}
