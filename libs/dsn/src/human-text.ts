/** The part of a report that people read: what happened to which recipient, and what to do. */
import { formatDate } from '@postbus/message'

import type { Action, RecipientReport, ReportFacts } from './facts.ts'
import { breakable } from './status-part.ts'

const LINE_LENGTH = 76

const SUBJECTS: Record<Action, string> = {
  failed: 'Your message could not be delivered',
  delayed: 'Your message is delayed',
  delivered: 'Your message was delivered',
  relayed: 'Your message was passed on',
  expanded: 'Your message was passed on',
}

/** The worst comes first: it is what the sender must know. */
const ORDER: readonly Action[] = ['failed', 'delayed', 'expanded', 'relayed', 'delivered']

export function subjectOf(recipients: readonly RecipientReport[]): string {
  const worst = ORDER.find((action) => recipients.some((recipient) => recipient.action === action))
  return SUBJECTS[worst ?? 'failed']
}

const OPENINGS: Record<Action, (recipients: string) => string> = {
  failed: (to) => `Your message could not be delivered to ${to}. It will not be tried again.`,
  delayed: (to) => `Your message could not be delivered to ${to} yet. You need not send it again: we keep trying.`,
  delivered: (to) => `Your message was delivered to ${to}.`,
  relayed: (to) =>
    `Your message was passed on for ${to}. The next server does not send reports, so you will not hear when it is delivered.`,
  expanded: (to) => `Your message was passed on to the members of a list or group for ${to}.`,
}

export function humanText(facts: ReportFacts, namedRecipients: number, returned: 'message' | 'header'): string {
  const paragraphs = [`This is the mail system at ${oneLine(facts.reportingMta)}.`]
  let room = namedRecipients
  for (const action of ORDER) {
    const recipients = facts.recipients.filter((recipient) => recipient.action === action)
    if (recipients.length === 0) continue
    paragraphs.push(OPENINGS[action](recipients.length === 1 ? 'one recipient' : `${recipients.length} recipients`))
    const named = recipients.slice(0, room)
    room -= named.length
    paragraphs.push(...named.map(aboutRecipient))
    const others = recipients.length - named.length
    if (others > 0) paragraphs.push(`${others} more are named in the attached details.`)
  }
  const what = returned === 'message' ? 'your message' : 'the header of your message'
  paragraphs.push(`Details for mail administrators are attached, and ${what}.`)
  return `${paragraphs.map((paragraph) => (paragraph.includes('\r\n') ? paragraph : wrap(paragraph, ''))).join('\r\n\r\n')}\r\n`
}

function aboutRecipient(recipient: RecipientReport): string {
  const lines = [`<${oneLine(recipient.finalRecipient)}>`, wrap(recipient.reason, '    ')]
  const { reply, mxHost, willRetryUntil } = recipient
  if (reply !== undefined && reply !== '') {
    lines.push(wrap(`${mxHost === undefined ? 'The other server' : oneLine(mxHost)} said: ${reply}`, '    '))
  }
  if (willRetryUntil !== undefined) lines.push(wrap(`We try until ${formatDate(willRetryUntil)}.`, '    '))
  const advice = recipient.action === 'failed' ? adviceFor(recipient.status) : undefined
  if (advice !== undefined) lines.push(wrap(advice, '    '))
  return lines.join('\r\n')
}

/** By the status' subject and detail — RFC 3463 §3. A status that says nothing gets no advice rather than a wrong one. */
function adviceFor(status: string): string | undefined {
  const [, subject, detail] = /^[245]\.([0-9]{1,3})\.([0-9]{1,3})$/.exec(status) ?? []
  switch (subject) {
    case '1':
      // X.1.7 and X.1.8 are about the sender's address.
      if (detail === '7' || detail === '8')
        return 'The other server does not accept your address as sender. Ask your postmaster.'
      return 'Check the address for mistakes. If it is right, ask the recipient in another way.'
    case '2':
      if (detail === '2')
        return 'The mailbox is full. Tell the recipient in another way, or send the message again later.'
      if (detail === '3') return 'The message is too large for this mailbox. Send a smaller one.'
      return 'Ask the recipient in another way whether this mailbox is still in use.'
    case '3':
      if (detail === '4') return 'The message is too large for the other server. Send a smaller one.'
      return 'Send the message again later. If that does not help, ask the postmaster of the recipient.'
    case '4':
      return 'The other server could not be reached or did not take the message. Send it again later, or ask the recipient in another way.'
    case '6':
      return 'The other server cannot handle this kind of message. Send it in another form, for instance as plain text.'
    case '7':
      return 'The other server does not accept this message. Ask your postmaster or the recipient for the reason.'
    default:
      return undefined
  }
}

/** Replies come from elsewhere: nothing in them may look like another paragraph. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, ' ').trim()
}

function wrap(text: string, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of breakable(oneLine(text)).split(/ +/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > LINE_LENGTH) {
      lines.push(indent + line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, indent + line].join('\r\n')
}
