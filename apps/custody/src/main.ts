/**
 * custody: what became of every recipient; reports to senders, gives spool records back, and publishes again what the bus lost.
 *
 *   reads    mail.status (durable "custody", by the one replica that leads)
 *   writes   mail.accepted, mail.local, mail.out, mail.hold (what was lost; mail.accepted also for reports), the hint custody.changed
 *   answers  custody.where, custody.find, custody.history, custody.queue, custody.queueSites,
 *            custody.books;
 *            leading also custody.dead, custody.deadLetter, custody.actOnDead
 *   asks     directory.localDomains
 *
 * Settings and metrics: README.md.
 */
import { runService } from '@postbus/service'

import { custodyService } from './service.ts'

await runService(custodyService)
