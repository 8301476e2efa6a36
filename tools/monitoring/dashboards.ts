/** The dashboards: one for the way of the mail through everything, one for each service. */
import { serviceNames, type ServiceName } from '../run/services.ts'
import { type Dashboard, type Panel, type Query, RATE_INTERVAL, type Row } from './grafana.ts'

const rate = (selector: string, by: string[] = []): string => sum(`rate(${selector}[${RATE_INTERVAL}])`, by)
const sum = (expression: string, by: string[]): string =>
  by.length === 0 ? `sum(${expression})` : `sum by (${by.join(', ')}) (${expression})`

/** Of a histogram: the median, and what one in a hundred exceeds. */
const latencies = (name: string, selector = '', by: string[] = [], exemplars = false): Query[] =>
  [0.5, 0.99].map((share) => ({
    expr: `histogram_quantile(${share}, ${rate(`${name}_bucket${selector}`, ['le', ...by])})`,
    legend: [share === 0.5 ? 'median' : '99 %', ...by.map((label) => `{{${label}}}`)].join(' '),
    exemplars,
  }))

const perSecond = (title: string, selector: string, by: string[], about?: string): Panel => ({
  ...{ title, unit: 'ops' },
  ...(about !== undefined && { about }),
  queries: [{ expr: rate(selector, by), legend: by.map((label) => `{{${label}}}`).join(' ') || title }],
})

const took = (title: string, name: string, by: string[] = [], about?: string, selector = ''): Panel => ({
  ...{ title, unit: 's' },
  ...(about !== undefined && { about }),
  queries: latencies(name, selector, by),
})

const gauge = (title: string, queries: Query[], unit: Panel['unit'] = 'short', about?: string): Panel => ({
  ...{ title, unit, queries },
  ...(about !== undefined && { about }),
})

const objective = (title: string, name: string): Panel => ({
  ...{ title, unit: 'percentunit', about: 'Of 0.1 %. Alerts are about how fast it goes.' },
  queries: ['5m', '1h', '6h'].map((window) => ({ expr: `slo:${name}:ratio_rate${window}`, legend: window })),
})

const flow: Dashboard = {
  uid: 'postbus-flow',
  title: 'Postbus: the way of the mail',
  rows: [
    {
      title: 'Objectives: the part that missed them',
      panels: [
        objective('Later than 5 s in the mailbox', 'mail_inbox_late'),
        objective('Told to come again', 'mail_accept_deferred'),
        objective('Minutes with waiting mail', 'mail_queue_late'),
      ],
    },
    {
      title: 'In',
      panels: [
        perSecond('Messages by answer', 'mail_smtp_messages_total', ['job', 'outcome']),
        took('End of DATA to its reply', 'mail_smtp_accept_seconds', ['job']),
        gauge('Not taking mail', [{ expr: 'max by (job) (mail_intake_closed)', legend: '{{job}}' }]),
      ],
    },
    {
      title: 'Through',
      panels: [
        perSecond('Recipients by destination', 'mail_router_recipients_total', ['destination']),
        gauge('Waiting on the bus', [
          { expr: 'sum by (event) (event_consumer:mail_bus_pending_events:max)', legend: '{{event}}' },
        ]),
        gauge(
          'The oldest that waits',
          [{ expr: 'max by (waiting) (mail_custody_oldest_ready_seconds)', legend: 'for its {{waiting}}' }],
          's',
        ),
      ],
    },
    {
      title: 'Into mailboxes',
      panels: [
        perSecond('Deliveries', 'mail_mailstore_deliveries_total', ['outcome']),
        {
          ...{ title: 'Time to the inbox', unit: 's', about: 'From the 250 to the commit of the mailbox.' },
          queries: latencies('mail_time_to_inbox_seconds', '', [], true),
        },
        perSecond('Set aside', 'mail_bus_dead_total', ['event', 'reason'], 'postbus dead list'),
      ],
    },
    {
      title: 'Out',
      panels: [
        perSecond('Attempts', 'mail_delivery_attempts_total', ['outcome']),
        {
          ...{
            title: 'Time to the first attempt',
            unit: 's',
            about: 'From the 250 to the first transaction with a host.',
          },
          queries: latencies('mail_time_to_first_attempt_seconds', '', [], true),
        },
        perSecond('Why not', 'mail_delivery_unsuccessful_total', ['outcome', 'reason', 'by']),
      ],
    },
    {
      title: 'Books',
      panels: [
        gauge('Open recipients', [{ expr: 'max(mail_custody_open_recipients)', legend: 'open' }]),
        gauge('Difference of the books', [
          { expr: 'max by (of) (abs(mail_custody_books_difference))', legend: '{{of}}' },
        ]),
        gauge('Copies that answer', [{ expr: 'sum by (job) (up)', legend: '{{job}}' }]),
      ],
    },
  ],
}

const connections = (job: ServiceName): Row => ({
  title: 'Connections',
  panels: [
    gauge('Open', [{ expr: `sum(mail_open_connections{job="${job}"})`, legend: 'open' }]),
    perSecond('By outcome', `mail_connections_total{job="${job}"}`, ['outcome']),
    perSecond('TLS sessions', `mail_tls_sessions_total{job="${job}"}`, ['version']),
  ],
})

/** Of the services that keep tables in libs/sql. */
const database = (job: ServiceName): Row => ({
  title: 'Database',
  panels: [
    took('Transactions', 'mail_database_transaction_seconds', [], 'From asking to the commit.', `{job="${job}"}`),
    took('Reads', 'mail_database_read_seconds', [], undefined, `{job="${job}"}`),
    perSecond('Transactions by outcome', `mail_database_transaction_seconds_count{job="${job}"}`, ['outcome']),
  ],
})

const taking = (job: ServiceName): Row[] => [
  connections(job),
  {
    title: 'SMTP',
    panels: [
      perSecond('Commands', `mail_smtp_commands_total{job="${job}"}`, ['verb']),
      perSecond('Replies', `mail_smtp_replies_total{job="${job}"}`, ['code']),
      gauge(
        'Replies by class',
        [{ expr: `sum by (class) (job_class:mail_smtp_replies:rate5m{job="${job}"})`, legend: '{{class}}' }],
        'ops',
      ),
    ],
  },
  {
    title: 'Messages',
    panels: [
      perSecond('Senders', `mail_smtp_senders_total{job="${job}"}`, ['outcome']),
      perSecond('Recipients', `mail_smtp_recipients_total{job="${job}"}`, ['outcome']),
      perSecond('Messages', `mail_smtp_messages_total{job="${job}"}`, ['outcome']),
      gauge(
        'Octets accepted',
        [{ expr: rate(`mail_smtp_accepted_bytes_total{job="${job}"}`), legend: 'accepted' }],
        'Bps',
      ),
    ],
  },
  {
    title: 'Spool',
    panels: [
      took('End of DATA to its reply', 'mail_smtp_accept_seconds', [], undefined, `{job="${job}"}`),
      took('Flush', 'mail_spool_flush_seconds', [], 'Every 250 waits for one.', `{job="${job}"}`),
      gauge('Messages of a flush', latencies('mail_spool_flush_records', `{job="${job}"}`)),
      gauge('Octets of a flush', latencies('mail_spool_flush_bytes', `{job="${job}"}`), 'bytes'),
    ],
  },
]

const own: Record<ServiceName, Row[]> = {
  inbound: taking('inbound'),
  submission: [
    ...taking('submission'),
    {
      title: 'Logins',
      panels: [
        perSecond('By answer', 'mail_smtp_auth_total', ['outcome']),
        perSecond('By mechanism', 'mail_smtp_auth_total', ['mechanism']),
      ],
    },
  ],
  router: [
    {
      title: 'Routing',
      panels: [
        perSecond('Messages', 'mail_router_messages_total', []),
        perSecond('Recipients by destination', 'mail_router_recipients_total', ['destination']),
      ],
    },
  ],
  delivery: [
    {
      title: 'Attempts',
      panels: [
        perSecond('By outcome', 'mail_delivery_attempts_total', ['outcome']),
        perSecond('Without success', 'mail_delivery_unsuccessful_total', ['outcome', 'reason', 'by']),
        took('Transaction', 'mail_delivery_transaction_seconds'),
        {
          ...{ title: 'Time to the first attempt', unit: 's' },
          queries: latencies('mail_time_to_first_attempt_seconds', '', [], true),
        },
      ],
    },
    {
      title: 'Lanes',
      panels: [
        gauge('Waiting on the bus', [
          {
            expr: 'max by (consumer) (mail_bus_pending_events{event="mail.out"}) > 0',
            legend: '{{consumer}}',
          },
        ]),
        perSecond('Attempts', 'mail_delivery_lane_attempts_total', ['lane']),
        gauge('Owned', [{ expr: 'sum by (instance) (mail_delivery_lanes)', legend: '{{instance}}' }]),
        perSecond('Put back for want of room', 'mail_delivery_spilled_total', []),
      ],
    },
    {
      title: 'Transactions',
      panels: [
        gauge('Under way, and allowed', [
          { expr: 'sum(mail_delivery_transactions)', legend: 'under way' },
          { expr: 'sum(mail_delivery_slots)', legend: 'allowed' },
        ]),
        gauge('Tasks in hand that wait', [{ expr: 'sum(mail_delivery_ready_tasks)', legend: 'ready' }]),
        gauge('Sites left alone', [{ expr: 'sum(mail_delivery_breakers_open)', legend: 'sites' }]),
        perSecond('Deferred without a try', 'mail_delivery_suspended_total', []),
      ],
    },
    {
      title: 'Sessions',
      panels: [
        perSecond('By TLS and policy', 'mail_delivery_sessions_total', ['tls', 'policy']),
        perSecond('That did not come about', 'mail_delivery_session_failures_total', ['reason']),
        perSecond('Signing', 'mail_delivery_signing_total', ['result']),
        perSecond("Operators' acts", 'mail_delivery_acts_total', ['act', 'result']),
      ],
    },
    {
      title: 'DNS',
      panels: [
        perSecond('Questions', 'mail_dns_questions_total', ['type', 'outcome', 'cached']),
        took('Until answered', 'mail_dns_seconds'),
        perSecond('Failures of servers', 'mail_dns_failures_total', ['reason']),
      ],
    },
    database('delivery'),
  ],
  mailstore: [
    {
      title: 'Deliveries',
      panels: [
        perSecond('By outcome', 'mail_mailstore_deliveries_total', ['outcome']),
        {
          ...{ title: 'Time to the inbox', unit: 's' },
          queries: latencies('mail_time_to_inbox_seconds', '', [], true),
        },
        gauge('Deliveries of a transaction', latencies('mail_mailstore_batch_messages')),
        perSecond('Messages stored', 'mail_mailstore_message_bytes_count', ['origin']),
      ],
    },
    {
      title: 'Storage',
      panels: [
        took('Writes', 'mail_mailstore_commit_seconds', ['command']),
        took('Reads', 'mail_mailstore_read_seconds', ['command']),
        perSecond('Removed', 'mail_mailstore_removed_blobs_total', ['reason']),
        perSecond('Text index', 'mail_mailstore_indexed_texts_total', ['outcome']),
      ],
    },
  ],
  directory: [
    {
      title: 'Logins',
      panels: [
        perSecond('By front end', 'mail_directory_logins_total', ['front_end', 'result']),
        took('Password hash', 'mail_directory_hash_seconds'),
        gauge('Waiting for their hash', [{ expr: 'sum(mail_directory_hash_waiting)', legend: 'logins' }]),
      ],
    },
    {
      title: 'Addresses and limits',
      panels: [
        perSecond('Resolved', 'mail_directory_resolutions_total', ['kind']),
        perSecond('Over a sending limit', 'mail_directory_sending_refused_total', ['limit']),
        perSecond('Changes', 'mail_directory_changes_total', ['operation']),
      ],
    },
    database('directory'),
  ],
  custody: [
    {
      title: 'Books',
      panels: [
        perSecond('Statuses', 'mail_custody_statuses_total', ['kind']),
        gauge('Messages', [{ expr: 'max by (phase) (mail_custody_messages)', legend: '{{phase}}' }]),
        gauge('Open recipients', [{ expr: 'max(mail_custody_open_recipients)', legend: 'open' }]),
        gauge('Difference', [{ expr: 'max by (of) (abs(mail_custody_books_difference))', legend: '{{of}}' }]),
      ],
    },
    {
      title: 'Looking after what waits',
      panels: [
        gauge(
          'The oldest',
          [{ expr: 'max by (waiting) (mail_custody_oldest_ready_seconds)', legend: '{{waiting}}' }],
          's',
        ),
        perSecond('Overdue', 'mail_custody_overdue_total', ['finding']),
        perSecond('Missing from the bus', 'mail_custody_census_missing_total', []),
        gauge('Leading', [{ expr: 'sum by (instance) (mail_custody_leading)', legend: '{{instance}}' }]),
      ],
    },
    {
      title: 'Reports and records',
      panels: [
        perSecond('Reports to senders', 'mail_custody_reports_total', ['kind']),
        perSecond('Reports that came in', 'mail_custody_incoming_reports_total', ['outcome']),
        perSecond('Records given back', 'mail_custody_freed_records_total', []),
        gauge('Records in the spool', [{ expr: 'max(mail_custody_spool_records)', legend: 'records' }]),
      ],
    },
    database('custody'),
  ],
  imap: [
    connections('imap'),
    {
      title: 'Commands',
      panels: [
        perSecond('By answer', 'mail_imap_commands_total', ['result']),
        perSecond('By name', 'mail_imap_commands_total', ['command']),
        took('Time', 'mail_imap_command_seconds', ['command'], 'IDLE lasts as long as it lasts.'),
      ],
    },
    {
      title: 'Sessions',
      panels: [
        perSecond('Logins', 'mail_imap_logins_total', ['result']),
        took('Push to idling clients', 'mail_imap_push_seconds'),
        gauge(
          'Octets',
          [
            { expr: rate('mail_imap_received_bytes_total'), legend: 'from clients' },
            { expr: rate('mail_imap_sent_bytes_total'), legend: 'to clients' },
          ],
          'Bps',
        ),
      ],
    },
  ],
  pop3: [
    connections('pop3'),
    {
      title: 'Sessions',
      panels: [
        perSecond('Commands', 'mail_pop3_commands_total', ['command', 'result']),
        took('Time', 'mail_pop3_command_seconds', ['command']),
        perSecond('Logins', 'mail_pop3_logins_total', ['result']),
        gauge('Octets to clients', [{ expr: rate('mail_pop3_sent_bytes_total'), legend: 'sent' }], 'Bps'),
      ],
    },
  ],
}

/** What every service has: its part of the bus, and its process. */
const common = (job: ServiceName): Row[] => [
  {
    title: 'Bus',
    panels: [
      took('Events handled', 'mail_bus_handle_seconds', ['event'], undefined, `{job="${job}"}`),
      took('Events waited', 'mail_bus_wait_seconds', ['event'], undefined, `{job="${job}"}`),
      took('Publications', 'mail_bus_publish_seconds', ['event'], undefined, `{job="${job}"}`),
      gauge('Backlog', [
        {
          expr: `sum by (event) (max by (event, consumer) (mail_bus_pending_events{job="${job}"}))`,
          legend: 'waiting {{event}}',
        },
        {
          expr: `sum by (event) (max by (event, consumer) (mail_bus_unacknowledged_events{job="${job}"}))`,
          legend: 'in hand {{event}}',
        },
      ]),
    ],
  },
  {
    title: 'Requests',
    panels: [
      took('Asked', 'mail_bus_request_seconds', ['request'], undefined, `{job="${job}"}`),
      perSecond('Not answered', `mail_bus_request_seconds_count{job="${job}", outcome="unavailable"}`, ['request']),
      took('Answered', 'mail_bus_answer_seconds', ['request'], undefined, `{job="${job}"}`),
      perSecond('Trouble', `mail_bus_redeliveries_total{job="${job}"}`, ['event'], 'Events that came again.'),
    ],
  },
  {
    title: 'Process',
    panels: [
      gauge(
        'Event loop',
        [{ expr: `max by (instance) (nodejs_eventloop_lag_p99_seconds{job="${job}"})`, legend: '{{instance}} 99 %' }],
        's',
        'Services that share a process show the same.',
      ),
      gauge(
        'CPU',
        [{ expr: rate(`process_cpu_seconds_total{job="${job}"}`, ['instance']), legend: '{{instance}}' }],
        'percentunit',
      ),
      gauge(
        'Memory',
        [
          { expr: `sum by (instance) (process_resident_memory_bytes{job="${job}"})`, legend: '{{instance}} resident' },
          { expr: `sum by (instance) (nodejs_heap_size_used_bytes{job="${job}"})`, legend: '{{instance}} heap' },
        ],
        'bytes',
      ),
      gauge('Ready', [{ expr: `sum by (instance) (mail_service_ready{job="${job}"})`, legend: '{{instance}}' }]),
    ],
  },
]

export const dashboards: readonly Dashboard[] = [
  flow,
  ...serviceNames.map((name) => ({
    uid: `postbus-${name}`,
    title: `Postbus: ${name}`,
    rows: [...own[name], ...common(name)],
  })),
]
