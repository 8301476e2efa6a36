/** postbus domain … */
import { RequestRefused } from '@postbus/bus'
import { addDomain, changeDomain, listDomains, removeDomain, type Domain } from '@postbus/contracts'

import { given, take, textOption, UsageError, type Command } from '../command.ts'
import { facts, table } from '../table.ts'

const shown = (domain: Domain): string => facts({ ...domain })

const separatorOf = (text: string | undefined): string | null | undefined => (text === 'none' ? null : text)

export const domainCommands: Command[] = [
  {
    name: 'domain add',
    takes: '<domain>',
    summary: 'add a domain',
    details:
      'Mailboxes live in a local domain. With --alias-of its people are those of another domain of ours; with --rewrite-to every\naddress becomes the same local part there, wherever that is.',
    options: {
      'alias-of': { type: 'string', help: 'the local domain whose other name this is' },
      'rewrite-to': { type: 'string', help: 'the domain its addresses are rewritten into' },
      'catch-all': { type: 'string', help: 'address that takes mail for unknown local parts' },
      separator: { type: 'string', help: 'between local part and detail (default +), or none' },
    },
    async run({ bus, args, options }) {
      const [domain] = take(args, '<domain>')
      const aliasOf = textOption(options, 'alias-of')
      const rewriteTo = textOption(options, 'rewrite-to')
      if (aliasOf !== undefined && rewriteTo !== undefined) throw new UsageError('--alias-of or --rewrite-to, not both')
      const value = await bus.request(addDomain, {
        domain,
        kind: aliasOf ? 'alias' : rewriteTo ? 'rewrite' : 'local',
        ...given({
          target: aliasOf ?? rewriteTo,
          catchAll: textOption(options, 'catch-all'),
          subaddressSeparator: separatorOf(textOption(options, 'separator')),
        }),
      })
      return { value, text: shown(value) }
    },
  },
  {
    name: 'domain list',
    takes: '',
    summary: 'every domain',
    async run({ bus, args }) {
      take(args)
      const domains: Domain[] = []
      for (let more = true; more;) {
        const page = await bus.request(listDomains, given({ after: domains.at(-1)?.domain }))
        domains.push(...page.domains)
        more = page.more
      }
      const rows = domains.map(({ domain, kind, target, subaddressSeparator, catchAll }) => [
        domain,
        kind,
        target,
        subaddressSeparator,
        catchAll,
      ])
      return { value: domains, text: table(['domain', 'kind', 'target', 'separator', 'catch-all'], rows) }
    },
  },
  {
    name: 'domain show',
    takes: '<domain>',
    summary: 'one domain',
    async run({ bus, args }) {
      const [domain] = take(args, '<domain>')
      const [value] = (await bus.request(listDomains, { domain })).domains
      if (value === undefined) throw new RequestRefused('noSuchDomain', `domain: ${domain} is none of ours`)
      return { value, text: shown(value) }
    },
  },
  {
    name: 'domain change',
    takes: '<domain>',
    summary: 'change settings of a domain',
    options: {
      target: { type: 'string', help: 'another target of an alias or rewritten domain' },
      'catch-all': { type: 'string', help: 'address that takes mail for unknown local parts, or none' },
      separator: { type: 'string', help: 'between local part and detail, or none' },
    },
    async run({ bus, args, options }) {
      const [domain] = take(args, '<domain>')
      const catchAll = textOption(options, 'catch-all')
      const value = await bus.request(changeDomain, {
        domain,
        ...given({
          target: textOption(options, 'target'),
          catchAll: catchAll === 'none' ? null : catchAll,
          subaddressSeparator: separatorOf(textOption(options, 'separator')),
        }),
      })
      return { value, text: shown(value) }
    },
  },
  {
    name: 'domain remove',
    takes: '<domain>',
    summary: 'remove a domain nobody uses',
    async run({ bus, args }) {
      const [domain] = take(args, '<domain>')
      const value = await bus.request(removeDomain, { domain })
      return { value, text: `removed ${value.domain}` }
    },
  },
]
