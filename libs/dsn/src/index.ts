/**
 * @postbus/dsn — delivery status notifications: written from plain facts, read from whoever wrote them. No I/O: whether a
 * report is due, and how it travels, is decided elsewhere.
 */
export { composeReport, type Report } from './compose-report.ts'
export {
  type Action,
  DEFAULT_REPORT_LIMITS,
  type OriginalMessage,
  type RecipientReport,
  type ReportFacts,
  type ReportLimits,
} from './facts.ts'
export {
  type DeliveryStatus,
  findDeliveryStatus,
  parseDeliveryStatus,
  type RecipientStatus,
  type TypedValue,
} from './parse-report.ts'
export { readReport, type ReceivedReport, type ReturnedHeader } from './read-report.ts'
