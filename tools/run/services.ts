/** Every service there is, by name. The only place that knows them all; a process loads only what it runs. */
import type { ServiceDefinition } from '@postbus/service'

const loaders = {
  custody: async () => (await import('@postbus/custody')).custodyService,
  directory: async () => (await import('@postbus/directory')).directoryService,
  mailstore: async () => (await import('@postbus/mailstore')).mailstoreService,
  router: async () => (await import('@postbus/router')).routerService,
  delivery: async () => (await import('@postbus/delivery')).deliveryService,
  submission: async () => (await import('@postbus/submission')).submissionService,
  inbound: async () => (await import('@postbus/inbound')).inboundService,
  imap: async () => (await import('@postbus/imap')).imapService,
  pop3: async () => (await import('@postbus/pop3')).pop3Service,
} as const
export type ServiceName = keyof typeof loaders

export const serviceNames = Object.keys(loaders) as ServiceName[]

export const isServiceName = (name: string): name is ServiceName => Object.hasOwn(loaders, name)

export const loadService = (name: ServiceName): Promise<ServiceDefinition> => loaders[name]()
