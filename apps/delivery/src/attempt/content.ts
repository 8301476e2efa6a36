/** Looks for octets above 127, in the header and after it. Stops as soon as there is nothing left to find out. */
import type { Content } from './fit.ts'

export async function contentOf(body: AsyncIterable<Uint8Array>): Promise<Content> {
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
