/** Delivery reports as others read them, and what the books say of a message. */
import { inTheBooks } from './books.ts'
import { until, type Platform } from './platform.ts'
import { postbus } from './postbus.ts'
import { piped } from './sending.ts'

/** RFC 3464 as Python's email package reads it. */
const READ_REPORT = `
import email, email.policy, json, sys
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
text, status, original = message.iter_parts()
groups = [dict(group.items()) for group in status.get_payload()]
print(json.dumps({
    'from': message['From'], 'to': message['To'], 'returnPath': message['Return-Path'], 'auto': message['Auto-Submitted'],
    'type': message.get_content_type(), 'reportType': message.get_param('report-type'),
    'types': [part.get_content_type() for part in message.iter_parts()],
    'text': text.get_content(), 'message': groups[0], 'recipients': groups[1:], 'original': original.as_string(),
}))
`

export interface Report {
  from: string
  to: string
  returnPath: string
  auto: string
  type: string
  reportType: string
  types: string[]
  text: string
  message: Record<string, string>
  recipients: Record<string, string>[]
  original: string
}

export const reportOf = async (bytes: Buffer): Promise<Report> =>
  JSON.parse(await piped('python3', ['-c', READ_REPORT], bytes)) as Report // The script above makes it.

export interface Where {
  recipients: { forwardPath: string; state: string; report?: string; unreported?: string }[]
  freedAt?: string
}

const SETTLED_MS = 120_000

/** What became of it, once its record was given back: everything that had to be told was told. */
export async function settled(platform: Platform, queueId: string): Promise<Where> {
  let known: unknown
  await until(
    async () => {
      const found = await inTheBooks(platform.ready(), queueId)
      known = found
      return found?.freedAt !== undefined
    },
    SETTLED_MS,
    () => `${JSON.stringify(known)}\n${platform.output()}`,
  )
  return postbus<Where>(platform.ready(), 'where', queueId)
}
