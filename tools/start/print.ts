/** What a person who started the platform reads, with lines to paste. */
import type { Ready } from './ready-file.ts'

export function welcome(
  { host, ports, accounts, ca, data }: Omit<Ready, 'pids'>,
  elapsedMs: number,
  cli: string,
): string {
  const [sender, reader] = accounts
  const list = accounts.map(({ address, password }) => `    ${address.padEnd(20)} ${password}`).join('\n')
  const to = reader ?? { address: 'jones@example.org', password: '' }
  const from = sender ?? to
  return `
Postbus is running (${(elapsedMs / 1000).toFixed(1)} s), data in ${data}

  SMTP in (MX)   ${host}:${ports.mx}
  submission     ${host}:${ports.submission} (STARTTLS), ${ports.submissions} (TLS)
  IMAP           ${host}:${ports.imap} (STARTTLS), ${ports.imaps} (TLS)
  NATS           127.0.0.1:${ports.nats}
  authority      ${ca}

  accounts
${list}

Send as ${from.address}:
  swaks --server ${host} --port ${ports.submission} --tls --tls-ca-path ${ca} --tls-sni localhost \\
    --auth PLAIN --auth-user ${from.address} --auth-password '${from.password}' \\
    --from ${from.address} --to ${to.address}

Receive from elsewhere:
  swaks --server ${host} --port ${ports.mx} --from somebody@example.com --to ${to.address}

Read:
  curl -s --cacert ${ca} -u '${to.address}:${to.password}' 'imaps://localhost:${ports.imaps}/INBOX;MAILINDEX=1'
  openssl s_client -crlf -quiet -CAfile ${ca} -connect localhost:${ports.imaps}

Manage:
  ${cli} account list --data ${data}

Ctrl-C stops everything.
`
}
