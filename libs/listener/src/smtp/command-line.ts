/**
 * A command line as verb and argument.
 *
 * STANDARDS  RFC 5321 §2.4, §4.1.1 (verbs without regard to case, white space too much is forgiven), RFC 6531 §3.2 (UTF-8)
 */

/** RFC 5321 §4.5.3.1.4 asks for 512 octets and room for parameters: those of DSN alone may take 1,100. */
export const MAX_COMMAND_LINE = 4096

export interface Command {
  /** In upper case; `HTTP` for a request of another protocol, `malformed` for what is not even a line of text. */
  verb: string
  argument: string
  /** For counting: one of a fixed list. */
  label: string
}

const KNOWN = new Set('EHLO HELO MAIL RCPT DATA RSET NOOP HELP VRFY EXPN QUIT STARTTLS AUTH'.split(' '))
const HTTP = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|CONNECT) .* HTTP\/\d/
const MALFORMED: Command = { verb: 'malformed', argument: '', label: 'other' }

export function parseCommand(line: Buffer): Command {
  // RFC 4954 §4: an initial response may be longer than any other argument.
  if (line.length > MAX_COMMAND_LINE && !/^AUTH /i.test(line.toString('latin1', 0, 5)))
    return { ...MALFORMED, verb: 'tooLong' }
  const text = decode(line)
  if (text === null) return MALFORMED
  const [, verb = '', argument = ''] = /^([A-Za-z]+)(?: +(.*))?$/u.exec(text) ?? []
  if (verb === '') return MALFORMED
  if (HTTP.test(text)) return { verb: 'HTTP', argument: '', label: 'other' }
  const upper = verb.toUpperCase()
  return { verb: upper, argument, label: KNOWN.has(upper) ? upper : 'other' }
}

/** Null for control characters (a bare CR among them) and for what is not UTF-8. */
function decode(line: Buffer): string | null {
  const text = line.toString('latin1').replace(/[ \t]+$/, '')
  if (/^[\x20-\x7e\t]*$/.test(text)) return text
  try {
    const unicode = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line).replace(/[ \t]+$/, '')
    return /^[\P{Cc}\t]*$/u.test(unicode) ? unicode : null
  } catch {
    return null
  }
}
