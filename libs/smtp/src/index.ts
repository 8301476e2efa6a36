/** @postbus/smtp — the vocabulary of SMTP: replies, addresses, the parameters of MAIL and RCPT. No I/O. */
export { SmtpError, replies, type EnhancedStatus } from './reply.ts'
export {
  parsePath,
  parseAddress,
  formatPath,
  withoutRootDot,
  asciiPath,
  normalizeAddress,
  normalizeDomain,
  isAscii,
  type Address,
} from './address.ts'
export { parsePathArgument, type PathArgument, type PathFault } from './path-argument.ts'
export { parseRet, parseEnvid, parseNotify, parseOrcpt, notifyWords, type NotifyWord } from './dsn-parameters.ts'
export { decodeXtext, encodeXtext, decodeUtf8Address, encodeUtf8Address } from './xtext.ts'
