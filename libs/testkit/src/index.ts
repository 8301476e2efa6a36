/** @postbus/testkit — what tests of several projects share. Only tests import it. */
export * from './nats-server.ts'
export { claimed, freePort } from './free-port.ts'
export { sitesOfOneLane } from './one-lane.ts'
export { startNatsCluster, type NatsCluster, type NatsClusterOptions, type NatsMember } from './nats-cluster.ts'
export { startPostgres, type PostgresServer } from './postgres-server.ts'
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
export { stressImap, type StressOptions } from './imap-stress/stress.ts'
export { testCertificate, type CertificateOptions, type TestCertificate } from './certificate.ts'
export { openSmtpSink, startSmtpSink } from './smtp-sink/sink.ts'
export type { SinkMessage, SinkOptions, SinkSessionFacts, SmtpSink } from './smtp-sink/options.ts'
export { startDnsServer, type DnsFault, type DnsQuestion, type DnsServer, type DnsServerOptions } from './dns-server.ts'
export { between, type Draw, seeded } from './seeded.ts'
export { searchCorpus, type SearchCorpus } from './search-corpus.ts'
export { scramClient, type ScramClient, type ScramClientOptions } from './scram-client.ts'
export { startS3, type S3Server } from './s3-server.ts'
export { startS3Proxy, type S3Asked, type S3Fault, type S3Proxy, type S3ProxyOptions } from './s3-proxy.ts'
export { type OtlpReceiver, startOtlpReceiver } from './otlp/receiver.ts'
export type { AttributeValue, ReceivedSpan } from './otlp/read-spans.ts'
