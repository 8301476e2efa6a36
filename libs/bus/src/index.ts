/**
 * @postbus/bus — publish, consume, request, answer, by contract. The only importer of NATS.
 *
 * Implementation notes, for whoever changes it:
 * - Nothing is acknowledged before the handler said `done`, and nothing termed before its copy in MAIL_DEAD is confirmed.
 * - A message id is made from the event. The same event published twice is one message, for as long as the stream remembers ids.
 * - "Unknown" is an outcome of its own (BusUnavailable) and never turned into success or refusal.
 */
export * from './bus.ts'
export { connectBus, type BusOptions, type ConnectedBus } from './connect.ts'
export { busTable } from './metrics.ts'
export { keepProvisioned, type ProvisionerOptions } from './provision.ts'
export { statusWriter, type StatusWriter } from './status-writer.ts'
export { currentTrace, inTrace } from './trace.ts'
