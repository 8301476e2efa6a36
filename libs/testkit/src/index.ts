/** @postbus/testkit — what tests of several projects share. Only tests import it. */
export * from './nats-server.ts'
