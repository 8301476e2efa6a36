/** A stored message of the memory mailstore: what FETCH and SEARCH read of it. */
import type { Section, SectionBytes } from '@postbus/contracts'
import { encodeBodyStructure, encodeEnvelope } from '@postbus/imap-wire'
import {
  encodeBinaryParts,
  encodedPart,
  parseStructureOf,
  previewSource,
  previewText,
  sectionRange,
  selectFields,
  transferDecoder,
  type MessagePart,
} from '@postbus/message'

export interface MemoryMessage {
  uid: number
  modseq: number
  flags: string[]
  internalDate: string
  saveDate: string
  /** Shared by its copies. */
  emailId: string
  bytes: Buffer
  root: MessagePart
  /** Where its bytes are for FETCH; else they go inline. */
  blob?: { key: string; lead: number }
}

export const envelopeOf = ({ root }: MemoryMessage): string => encodeEnvelope(root.envelope ?? {})

export const structureOf = ({ root }: MemoryMessage, extended: boolean): string =>
  encodeBodyStructure(root, { extended })

const KNOWN = new Set(['7bit', '8bit', 'binary', 'base64', 'quoted-printable'])

export function previewOf({ bytes, root }: MemoryMessage): string {
  const source = previewSource(root)
  return source ? previewText(source, bytes.subarray(source.range.start, source.range.end)) : ''
}

export async function withoutBinaryParts(bytes: Buffer): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(encodeBinaryParts([bytes], parsed(bytes))))
}

export const parsed = (bytes: Buffer): MessagePart => parseStructureOf(bytes)

export function cut({ bytes, root, blob }: MemoryMessage, sections: readonly Section[]) {
  const answers: SectionBytes[] = []
  const strings: Uint8Array[] = []
  for (const section of sections) {
    const range = sectionRange(root, section)
    if (!range) {
      answers.push({ kind: 'absent' })
      continue
    }
    const fields = section.kind === 'fields' || section.kind === 'fieldsNot'
    const whole = bytes.subarray(range.start, range.end)
    const value = fields
      ? Buffer.concat(selectFields(whole, section.fields ?? [], section.kind === 'fieldsNot'))
      : whole
    if (section.binary) {
      const encoding = encodedPart(root, section)?.encoding?.toLowerCase() ?? '7bit'
      const decoder = transferDecoder(encoding)
      const octets = Buffer.concat([decoder.write(value), decoder.end()])
      const [first, count] = section.partial ?? [0, Infinity]
      if (!KNOWN.has(encoding)) answers.push({ kind: 'unknownEncoding' })
      else if (decoder.damaged) answers.push({ kind: 'damagedEncoding' })
      else if (section.binary === 'size') answers.push({ kind: 'size', octets: octets.length })
      else {
        answers.push({ kind: 'inline' })
        strings.push(octets.subarray(first, first + count))
      }
      continue
    }
    const [first, count] = section.partial ?? [0, Infinity]
    if (blob && !fields) {
      const start = Math.min(range.start + first, range.end)
      const end = Math.min(start + count, range.end)
      const lead = bytes.subarray(start, Math.min(end, blob.lead))
      const offset = Math.max(start, blob.lead) - blob.lead
      answers.push({ kind: 'blob', blob: blob.key, offset, length: end - start - lead.length, lead: true })
      strings.push(lead)
      continue
    }
    answers.push({ kind: 'inline' })
    strings.push(value.subarray(first, first + count))
  }
  return { answers, strings }
}
