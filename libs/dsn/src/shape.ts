/**
 * Which types and encodings the parts of a report have: what the way back to the sender can carry decides.
 *
 * STANDARDS  RFC 6522 §3; RFC 3461 §4.3; RFC 6533 §3, §4
 */
import { asciiPath } from '@postbus/smtp'

import { DEFAULT_REPORT_LIMITS, type ReportFacts } from './facts.ts'

export interface PartShape {
  type: string
  description: string
  encoding: '7bit' | '8bit' | 'base64'
}

export interface Shape {
  /** The report itself needs SMTPUTF8: its recipient's address does. */
  smtputf8: boolean
  returned: 'message' | 'header'
  status: PartShape
  original: PartShape
}

export function shapeOf(facts: ReportFacts): Shape {
  const { original } = facts
  const limits = { ...DEFAULT_REPORT_LIMITS, ...facts.limits }
  const smtputf8 = asciiPath(facts.to) === null
  // RFC 3461 §4.3: RET is about failures; of anything else the header is enough.
  const failed = facts.recipients.some(({ action }) => action === 'failed')
  const whole = failed && original.ret !== 'HDRS' && original.size <= limits.returnedBytes
  return {
    smtputf8,
    returned: whole ? 'message' : 'header',
    // In ASCII the old type says everything too, with UTF-8 addresses in their escaped form — RFC 6533 §3.
    status: smtputf8
      ? { type: 'message/global-delivery-status', description: 'Delivery report', encoding: '8bit' }
      : { type: 'message/delivery-status', description: 'Delivery report', encoding: '7bit' },
    original: {
      type: TYPES[original.smtputf8 ? 'international' : 'ascii'][whole ? 'message' : 'header'],
      description: whole ? 'Original message' : 'Header of the original message',
      encoding: encodingOf(facts, whole, smtputf8),
    },
  }
}

const TYPES = {
  ascii: { message: 'message/rfc822', header: 'text/rfc822-headers' },
  international: { message: 'message/global', header: 'message/global-headers' },
}

function encodingOf({ original }: ReportFacts, whole: boolean, smtputf8: boolean): PartShape['encoding'] {
  // To a sender in ASCII the way may not know SMTPUTF8; then an international message travels in base64 — RFC 6533 §4.
  if (original.smtputf8) return smtputf8 ? '8bit' : 'base64'
  // What nobody declared may have eight bits, too.
  return whole && original.body !== '7BIT' ? '8bit' : '7bit'
}
