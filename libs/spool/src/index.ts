/** @postbus/spool — durable records of accepted messages. */
export * from './spool.ts'
