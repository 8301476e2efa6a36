import { Readable } from 'node:stream'

import { DependencyUnavailable, statusWriter } from '@postbus/bus'
import { LANES, MailOut, MailStatus, QueueId } from '@postbus/contracts'
import { defineService } from '@postbus/service'
import { openSpoolReader, type SpoolReader } from '@postbus/spool'
import { openSqlite } from '@postbus/sql'

import { dnsOver } from './adapters/dns.ts'
import { sqlLedger, type Tables } from './adapters/ledger/sql-ledger.ts'
import { MessageUnreadable, SmtpClient } from './adapters/smtp-client.ts'
import { attempt, groupOf } from './attempt/attempt.ts'
import { destinationOf } from './attempt/destination.ts'
import { DeliveryConfig } from './config.ts'
import { onMailOut } from './handlers/mail-out.ts'
import { ownLanes } from './lanes/own-lanes.ts'
import { sites } from './lanes/sites.ts'
import { deliveryMetrics } from './metrics.ts'

const DAY_MS = 24 * 3_600_000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_AT_ONCE = 5000
