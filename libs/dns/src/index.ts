/** @postbus/dns — questions to DNS, and answers that say what is certain and what is not. */
export { type Answer, type AskedEvent, type Dns, type DnsOptions, dnsResolver } from './resolver.ts'
export type { MxRecord, Records, RecordType, TlsaRecord } from './records.ts'
export { DnsUnavailable, InvalidName, type ServerFailure } from './errors.ts'
export { parseServer, type Server } from './server-list.ts'
export { reverseName } from './names.ts'
export { dnsOptions, type DnsSettings, dnsSettings } from './settings.ts'
export { dnsMetrics, dnsTable } from './metrics.ts'
