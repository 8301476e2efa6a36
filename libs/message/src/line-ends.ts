/**
 * Makes bare line feeds CRLF while the octets pass by: a message has no others (RFC 5322 §2.1), and what it is counted as must
 * be what is sent. Bare carriage returns stay: they end no line.
 */
import { asBuffer } from './header.ts'

const LF = 0x0a
const CR = 0x0d
const CRLF = Buffer.from('\r\n')

export class CrlfEncoder {
  #afterCr = false

  write(bytes: Uint8Array): Uint8Array {
    const data = asBuffer(bytes)
    const pieces: Buffer[] = []
    let from = 0
    for (let lf = data.indexOf(LF); lf >= 0; lf = data.indexOf(LF, lf + 1)) {
      if (lf === 0 ? this.#afterCr : data[lf - 1] === CR) continue
      pieces.push(data.subarray(from, lf), CRLF)
      from = lf + 1
    }
    if (data.length > 0) this.#afterCr = data.at(-1) === CR
    return pieces.length === 0 ? bytes : Buffer.concat([...pieces, data.subarray(from)])
  }
}
