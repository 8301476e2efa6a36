/** @postbus/testkit — what tests of several projects share. Only tests import it. */
export * from './nats-server.ts'
export { playTranscript, type TranscriptOptions } from './transcript.ts'
export { Conversation, type ConversationOptions } from './conversation.ts'
export {
  LOAD_SENDER,
  loadBody,
  loadMessage,
  smtpLoad,
  type LoadMessage,
  type LoadOptions,
  type LoadResult,
} from './smtp-load.ts'
export { testCertificate, type TestCertificate } from './certificate.ts'
export { startSmtpSink, type SinkMessage, type SinkOptions, type SmtpSink } from './smtp-sink.ts'
export { between, type Draw, seeded } from './seeded.ts'
