/**
 * What a message is: header fields, addresses, dates, the MIME tree and its octet ranges, decoding for search.
 * A model layer: no file, no socket, no clock. Every parser here is total (it never throws on any octets) and linear.
 */

export { fieldValue, headerEnd, type HeaderField, headerText, parseHeader } from './header.ts'
