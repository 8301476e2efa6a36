/** What every service has: its readiness, and what the bus counts for it. */
import { busTable } from '@postbus/bus'
import { gauge, type MetricTable } from '@postbus/metrics'

export const serviceTable = { ready: gauge('mail_service_ready', '1 while /readyz answers 200.') }

export const commonMetrics: readonly MetricTable[] = [serviceTable, busTable]
