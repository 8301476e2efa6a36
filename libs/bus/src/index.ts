/** @postbus/bus — publish, consume, request, answer, by contract. The only importer of NATS. */
export * from './bus.ts'
