/** Messages that the transcripts talk about. */
import type { MemoryMailstore } from './mailstore.ts'

const lines = (...text: string[]): string => `${text.join('\r\n')}\r\n`

/** The message of RFC 9051 §8, as far as it shows itself there. */
export const wg = lines(
  'Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)',
  'From: Terry Gray <gray@cac.washington.edu>',
  'Subject: IMAP4rev1 WG mtg summary and minutes',
  'To: imap@cac.washington.edu',
  'cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>',
  'Message-Id: <B27397-0100000@cac.washington.edu>',
  'MIME-Version: 1.0',
  'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII',
  '',
  'The minutes are attached to nothing.',
)

/** Two parts, the second a message. */
export const forwarded = lines(
  'Date: Thu, 18 Jul 1996 10:00:00 +0000',
  'From: "Joe \\"Q\\" Public" <joe@example.test>',
  'To: ann@example.test',
  'Subject: =?UTF-8?Q?Entw=C3=BCrfe?=',
  'Message-ID: <2@example.test>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=cut',
  '',
  'preamble',
  '--cut',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: base64',
  '',
  'R3LDvMOfZSBhdXMgS8O2bG4K',
  '--cut',
  'Content-Type: message/rfc822',
  '',
  'From: bob@example.test',
  'Subject: inner',
  '',
  'inner body',
  '--cut--',
)

export const short = lines(
  'Date: Fri, 19 Jul 1996 08:00:00 +0000',
  'From: bob@example.test',
  'Subject: lunch',
  '',
  'At noon?',
)

/** Puts the three into INBOX. */
export function seed(mailstore: MemoryMailstore, account: string): void {
  mailstore.deliver(account, 'INBOX', wg, { date: '1996-07-17T09:44:25.000Z' })
  mailstore.deliver(account, 'INBOX', forwarded, { date: '1996-07-18T10:00:05.000Z', flags: ['\\Seen'] })
  mailstore.deliver(account, 'INBOX', short, { date: '1996-07-19T08:00:01.000Z', flags: ['\\Flagged'] })
}
