/** What a person who started the platform reads, with lines to paste. */
import type { Ready } from './ready-file.ts'

export function welcome(
  { host, ports, accounts, ca, data, bus, profile }: Omit<Ready, 'pids'>,
  elapsedMs: number,
  cli: string,
): string {
  return `
Postbus is running${profile === 'embedded' ? '' : ` as ${profile}`} (${(elapsedMs / 1000).toFixed(1)} s), data in ${data}

${doors({ host, ports }).join('\n')}
  NATS           ${bus.url}
  authority      ${ca}
${accounts.length === 0 ? '' : toTry({ host, ports, accounts, ca })}
Manage:
  ${cli} account list --data ${data}

Ctrl-C stops everything.
`
}

function toTry({ host, ports, accounts, ca }: Pick<Ready, 'host' | 'ports' | 'accounts' | 'ca'>): string {
  const [sender, reader] = accounts
  const list = accounts.map(({ address, password }) => `    ${address.padEnd(20)} ${password}`).join('\n')
  const to = reader ?? { address: 'jones@example.org', password: '' }
  const from = sender ?? to
  return `
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
`
}

/** One line for each replica. */
function doors({ host, ports }: Pick<Ready, 'host' | 'ports'>): string[] {
  const rows: [label: string, plain: string, tls: string | null][] = [
    ['SMTP in (MX)', 'mx', null],
    ['submission', 'submission', 'submissions'],
    ['IMAP', 'imap', 'imaps'],
    ['POP3', 'pop3', 'pop3s'],
  ]
  return rows.flatMap(([label, plain, tls]) =>
    Object.entries(ports)
      .filter(([name]) => name.replace(/-\d+$/, '') === plain)
      .map(([name, port]) => {
        const also = tls === null ? '' : ` (STARTTLS), ${ports[`${tls}${name.slice(plain.length)}`]} (TLS)`
        return `  ${label.padEnd(14)} ${host}:${port}${also}`
      }),
  )
}
