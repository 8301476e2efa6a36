/** @postbus/smtp — the vocabulary of SMTP: replies, addresses. No I/O. */
export { SmtpError, replies, type EnhancedStatus } from './reply.ts'
export { parsePath, parseAddress, formatPath, normalizeAddress, normalizeDomain, type Address } from './address.ts'
