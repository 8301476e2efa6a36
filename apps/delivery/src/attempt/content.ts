/** A message in the spool as an attempt sees it: looked into at most once, whatever the number of hosts. */
import { sevenBitForm, type SevenBit } from './downgrade.ts'
import type { Content, Message } from './fit.ts'

/** @param read the message from its beginning, each time anew */
export function messageOf(read: () => AsyncIterable<Uint8Array>): Message {
  let content: Promise<Content> | undefined
  let sevenBit: Promise<SevenBit> | undefined
  let converted: (() => AsyncIterable<Uint8Array>) | undefined
  return {
    content: () => (content ??= contentOf(read())),
    sevenBit: () =>
      (sevenBit ??= sevenBitForm(read).then((form) => {
        if (form.kind === 'form') converted = form.read
        return form
      })),
    read(form) {
      if (form === 'asIs') return read()
      if (converted === undefined) throw new Error('the message was not converted')
      return converted()
    },
  }
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
