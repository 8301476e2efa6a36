/**
 * What peers say, row by row: the first that matches decides; what no row knows is decided by its first digit (classify.ts).
 *
 * A row that makes a 5yz temporary costs at worst a late report; a 5yz wrongly believed destroys mail. So rows are generous with
 * the first and name exactly what they believe. Each says why. Patterns see one line: code, enhanced status, all words.
 *
 * STANDARDS  RFC 5321 §4.2, §4.5.3.1.10; RFC 3463 §3; RFC 6647 (greylisting); RFC 7504 (521)
 */
import { REPLY_TO, type ReplyTo } from './reply.ts'
import { z } from 'zod'

/**
 * failed: for good. deferred: on the usual schedule. soon: greylisting, or like it. busy: deferred, and the site asks us to slow
 * down. trouble: deferred, and the site is in no state to take mail, whoever it is for. crowded: one recipient too many, which
 * goes into another transaction at once.
 */
export const MEANINGS = ['failed', 'deferred', 'soon', 'busy', 'trouble', 'crowded'] as const
export type Meaning = (typeof MEANINGS)[number]

export interface ReplyRule {
  /** What errors and tests call it. */
  name: string
  /** Replies to what; every one when left out. */
  to?: readonly ReplyTo[] | undefined
  /** End of the MX host's name, lower case; any host when left out. */
  host?: string | undefined
  pattern: RegExp
  means: Meaning
  why: string
}

const ABOUT_THE_MESSAGE: readonly ReplyTo[] = ['MAIL', 'RCPT', 'DATA']

export const REPLY_RULES: readonly ReplyRule[] = [
  // What is about one recipient, whatever else the words look like.
  {
    name: 'too many recipients',
    to: ['RCPT'],
    pattern: /^[45]52 (?:[45]\.5\.3(?!\d)|(?![45]\.\d))/,
    means: 'crowded',
    why: 'RFC 5321 §4.5.3.1.10: a 552 is the 452 it should have been, unless its status says it is about the mailbox or the message.',
  },
  {
    name: 'mailbox full',
    to: ABOUT_THE_MESSAGE,
    pattern: /^5\d\d 5\.2\.2(?!\d)/,
    means: 'failed',
    why: 'RFC 3463 §3.3 would have it temporary and 452 says so; who says 5yz means it. Postfix and Exim believe it, and the sender learns in minutes what would otherwise take days.',
  },
  {
    name: 'recipient gets too much',
    pattern:
      /^4\d\d .*\b(?:user|recipient|messages to|mailbox)\b.*\b(?:at a rate|too quickly|excessive volume|thread limit)/i,
    means: 'deferred',
    why: 'Gmail 4.2.1, iCloud 4.7.1, Exchange 4.3.2: one mailbox is over its rate; the site takes mail for the others.',
  },

  // Greylisting.
  {
    name: 'greylisting',
    pattern: /gr[ae]y[- ]?list/i,
    means: 'soon',
    why: 'RFC 6647: the same triplet is taken when it comes again. True of a 5yz as well: a greylisting that is permanent is a contradiction.',
  },

  // The site asks us to slow down.
  {
    name: 'Gmail rate',
    pattern: /^4\d\d 4\.7\.28(?!\d)/,
    means: 'busy',
    why: 'Too much from our address, network or domain.',
  },
  {
    name: 'Microsoft throttling',
    pattern: /^4\d\d 4\.7\.[56]\d\d(?!\d)/,
    means: 'busy',
    why: 'Exchange Online and outlook.com keep 4.7.500–699 for senders they slow down.',
  },
  {
    name: 'outlook.com rate',
    pattern: /\bRP-00\d\b/,
    means: 'busy',
    why: 'Connections or messages above what our reputation allows.',
  },
  {
    name: 'Yahoo deferral',
    pattern: /^4\d\d .*\[TSS?\d\d\]/,
    means: 'busy',
    why: 'TS01 to TSS04: unexpected volume or complaints; pressing on makes it longer.',
  },
  {
    name: 'United Internet policy',
    pattern: /^4\d\d .*reject due to policy/i,
    means: 'busy',
    why: 'GMX and web.de slow down who wrote to many unknown addresses.',
  },
  {
    name: 'Comcast rate',
    pattern: /^4\d\d .*\bRL0{4}\d*\b/,
    means: 'busy',
    why: 'Connections or messages above its limit.',
  },
  {
    name: 'Orange rate',
    pattern: /^4\d\d .*\bOFR\d*_\d+/,
    means: 'busy',
    why: 'Its own code for too many connections or messages.',
  },
  {
    name: 'congestion',
    pattern: /^[45]\d\d [45]\.4\.5(?!\d)/,
    means: 'busy',
    why: 'RFC 3463 §3.5: mail system congestion.',
  },
  {
    name: 'too many at once',
    pattern:
      /\btoo many (?:concurrent |simultaneous |parallel |open |smtp )*(?:connections|sessions)\b|\b(?:connection|concurrency) (?:rate )?limit\b/i,
    means: 'busy',
    why: 'About our connections, never about the message, whatever the digit.',
  },
  {
    name: 'too much in this time',
    pattern:
      /\brate[- ]?limit|\bthrottl|\bslow(?:ing)? down\b|\btoo (?:many (?:messages|e-?mails)|fast|quickly)\b|\b(?:unusual|unexpected|excessive)(?:ly high)? (?:rate|volume)\b/i,
    means: 'busy',
    why: 'A rate passes; a 5yz for it is the wrong digit.',
  },

  // A 5yz that is not about the message.
  {
    name: 'host takes no mail',
    to: ['session'],
    pattern: /^521(?!\d)/,
    means: 'failed',
    why: 'RFC 7504 §3: said for good by this host; another MX may still take it.',
  },
  {
    name: 'out of step',
    to: ABOUT_THE_MESSAGE,
    pattern: /^503(?!\d)/,
    means: 'deferred',
    why: 'The dialogue went wrong; a new one may not.',
  },
  {
    name: 'TLS wanted',
    to: ABOUT_THE_MESSAGE,
    pattern: /^5\d\d .*\bSTARTTLS\b/i,
    means: 'deferred',
    why: 'We use STARTTLS wherever it is offered: this peer did not offer it, or its TLS failed this time.',
  },
  {
    name: 'host not fit for mail',
    to: ABOUT_THE_MESSAGE,
    pattern: /^5\d\d 5\.3\.[125](?!\d)/,
    means: 'trouble',
    why: 'RFC 3463 §3.4: its disk, its state, its configuration; nothing the sender can mend.',
  },
  {
    name: 'routing not to be had',
    to: ABOUT_THE_MESSAGE,
    pattern: /^5\d\d 5\.4\.3(?!\d)/,
    means: 'deferred',
    why: 'RFC 3463 §3.5: a directory that cannot be asked answers later.',
  },
  {
    name: 'permanent by digit, temporary by word',
    to: ABOUT_THE_MESSAGE,
    pattern:
      /^5\d\d (?!5\.1\.\d).*(?:\b(?:re)?try (?:your \w+ )?(?:again )?(?:later|in \d|after \d)|\btry again\b|\btemporar(?:y|ily) (?:\w+ )?(?:deferred|unavailable|reject|refus|fail|error|block|problem|suspend))/i,
    means: 'deferred',
    why: 'Who asks to be tried again is tried again. Not for 5.1.x: an address that does not exist will not.',
  },
  {
    name: 'blocklist',
    to: ABOUT_THE_MESSAGE,
    pattern: /^5\d\d .*(?:\bblock(?:ed|[- ]?list)|\bblacklist|\bspamhaus\b|\breputation\b)/i,
    means: 'failed',
    why: 'Our address is listed. As Postfix does: the sender learns now and can go another way; in a greeting it only costs this host.',
  },

  // A site in no state to take mail.
  { name: 'closing', pattern: /^421(?!\d)/, means: 'trouble', why: 'RFC 5321 §4.2.3: the service is not available.' },
  {
    name: 'no session',
    to: ['session'],
    pattern: /^/,
    means: 'trouble',
    why: 'Nothing said before MAIL is about the message: the next host, or later.',
  },
  {
    name: 'host has no room',
    to: ['MAIL'],
    pattern: /^4\d\d 4\.3\.[12](?!\d)/,
    means: 'trouble',
    why: 'RFC 3463 §3.4: full, or not accepting messages from the network.',
  },

  // Greylisting that does not call itself so.
  {
    name: 'try again',
    to: ABOUT_THE_MESSAGE,
    pattern: /^45[01] .*\b(?:try|retry|come back)\b/i,
    means: 'soon',
    why: 'Most of these are greylisting; a few early tries harm nobody.',
  },
]

/** A row of the operator's own file. */
const RuleOfFile = z
  .strictObject({
    name: z.string().min(1).max(100),
    to: z.array(z.enum(REPLY_TO)).min(1).optional(),
    host: z.string().min(1).max(255).toLowerCase().optional(),
    pattern: z
      .string()
      .min(1)
      .max(500)
      .transform((source, context) => {
        try {
          return new RegExp(source, 'i')
        } catch (error) {
          context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
          return z.NEVER
        }
      }),
    means: z.enum(MEANINGS),
    why: z.string().max(500).default('an operator said so'),
  })
  .describe('What a reply means')

const MAX_RULES = 1000

/** @throws Error that names the row and what is wrong with it. */
export function rulesFrom(json: string): ReplyRule[] {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new Error(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  const rules = z.array(RuleOfFile).max(MAX_RULES).safeParse(value)
  if (rules.success) return rules.data
  const [issue] = rules.error.issues
  const [row, ...field] = issue?.path ?? []
  throw new Error(
    [row === undefined ? '' : `row ${Number(row) + 1}`, field.join('.'), issue?.message].filter(Boolean).join(': '),
  )
}
