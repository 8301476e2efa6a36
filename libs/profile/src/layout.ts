/** Where things lie in a data directory. Everything that must survive is here; `nats`, `logs` and `run` can be made again. */
import { join } from 'node:path'

export interface DataLayout {
  data: string
  /** One SQLite file per service that owns tables. */
  databases: string
  spool: string
  blobs: string
  /** Secret nkeys, one per party on the bus. */
  keys: string
  tls: string
  /** Of the authority of the bus' servers, where they are several. */
  busTls: string
  nats: string
  logs: string
  run: string
  /** What each instance was started with: `{instance: {NAME: value}}`. */
  settings: string
  /** The socket a running start takes orders on. */
  control: string
  /** Where Prometheus finds the metrics: a file for its `file_sd_configs`. */
  scrapeTargets: string
  /** How an operator finds the bus: see OperatorAccess. */
  operator: string
  demoAccounts: string
  /** There while a restore is not finished. */
  restoring: string
}

export const layoutOf = (data: string): DataLayout => ({
  data,
  databases: join(data, 'db'),
  spool: join(data, 'spool'),
  blobs: join(data, 'blobs'),
  keys: join(data, 'keys'),
  tls: join(data, 'tls'),
  busTls: join(data, 'tls', 'bus'),
  nats: join(data, 'nats'),
  logs: join(data, 'logs'),
  run: join(data, 'run'),
  settings: join(data, 'run', 'settings.json'),
  control: join(data, 'run', 'control.sock'),
  scrapeTargets: join(data, 'run', 'prometheus-targets.json'),
  operator: join(data, 'postbus.json'),
  demoAccounts: join(data, 'demo-accounts.json'),
  restoring: join(data, 'restoring'),
})

export const databasePath = ({ databases }: DataLayout, service: string): string => join(databases, `${service}.sqlite`)
