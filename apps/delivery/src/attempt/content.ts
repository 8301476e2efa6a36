/**
 * A message in the spool as an attempt sees it: looked into, converted and signed at most once, whatever the number of hosts.
 */
import { sevenBitForm, type SevenBit } from './downgrade.ts'
import type { Content, Form, Message } from './fit.ts'

/**
 * @param size octets in the spool
 * @param read the message from its beginning, each time anew
 * @param sign fields to put in front of what `body` reads, each with its CRLF
 */
export function messageOf(
  size: number,
  read: () => AsyncIterable<Uint8Array>,
  sign: (form: Form, body: () => AsyncIterable<Uint8Array>) => Promise<string>,
): Message {
  let content: Promise<Content> | undefined
  let converting: Promise<SevenBit> | undefined
  const convert = (): Promise<SevenBit> => (converting ??= sevenBitForm(read))
  const forms: Partial<Record<Form, Promise<Prepared>>> = {}
  const ready: Partial<Record<Form, Prepared>> = {}

  async function prepare(form: Form): Promise<Prepared> {
    const body = form === 'asIs' ? { size, read } : await convert()
    if ('reason' in body) throw new Error(`there is no seven-bit form: ${body.reason}`)
    const front = Buffer.from(await sign(form, body.read))
    return (ready[form] = { front, ...body })
  }

  return {
    content: () => (content ??= contentOf(read())),
    async sevenBit() {
      const converted = await convert()
      return converted.kind === 'impossible' ? { impossible: converted.reason } : null
    },
    async sizeOf(form) {
      const prepared = await (forms[form] ??= prepare(form))
      return prepared.front.length + prepared.size
    },
    read(form) {
      const prepared = ready[form]
      if (prepared === undefined) throw new Error('a message is read whose size was not asked for')
      return withFront(prepared)
    },
  }
}

interface Prepared {
  front: Uint8Array
  size: number
  read(): AsyncIterable<Uint8Array>
}

async function* withFront({ front, read }: Prepared): AsyncIterable<Uint8Array> {
  if (front.length > 0) yield front
  yield* read()
}

/** Looks for octets above 127, in the header and after it. Stops as soon as there is nothing left to find out. */
async function contentOf(body: AsyncIterable<Uint8Array>): Promise<Content> {
  const content: Content = { header8bit: false, body8bit: false }
  let inHeader = true
  /** Octets since the end of the last line; an empty line ends the header — RFC 5322 §2.1. */
  let lineLength = 0
  for await (const chunk of body) {
    for (const octet of chunk) {
      if (octet > 127) {
        if (!inHeader) return { ...content, body8bit: true }
        content.header8bit = true
      }
      if (!inHeader) continue
      if (octet !== LF) lineLength += octet === CR ? 0 : 1
      else if (lineLength === 0) inHeader = false
      else lineLength = 0
    }
  }
  return content
}

const CR = 13
const LF = 10
