/** postbus alias …: addresses that stand for others, of every kind. */
import { addAlias, changeAlias, listAliases, removeAlias, type Alias } from '@postbus/contracts'

import { given, listOption, take, textOption, UsageError, type Command, type OptionValues } from '../command.ts'
import { facts, table } from '../table.ts'

const kinds = ['alias', 'group', 'list', 'discard'] as const

const memberOptions = {
  kind: { type: 'string', help: `one of ${kinds.join(', ')}` },
  member: { type: 'string', multiple: true, help: 'an address it stands for; repeat for more' },
  owner: { type: 'string', help: 'whom reports go to, for a group or list' },
} satisfies Command['options']

function kindOption(options: OptionValues): Alias['kind'] | undefined {
  const text = textOption(options, 'kind')
  const kind = kinds.find((candidate) => candidate === text)
  if (text !== undefined && kind === undefined)
    throw new UsageError(`--kind is one of ${kinds.join(', ')}, not ${text}`)
  return kind
}

export const aliasCommands: Command[] = [
  {
    name: 'alias add',
    takes: '<address>',
    summary: 'add an alias, group, list or discarding address',
    details:
      'An alias keeps the sender; a group or list sends to its members in the name of its owner, who gets the reports. Mail to a\ndiscard address ends there, and the books say so.',
    options: memberOptions,
    async run({ bus, args, options }) {
      const [address] = take(args, '<address>')
      const value = await bus.request(addAlias, {
        address,
        kind: kindOption(options) ?? 'alias',
        members: listOption(options, 'member') ?? [],
        ...given({ owner: textOption(options, 'owner') }),
      })
      return { value, text: facts({ ...value }) }
    },
  },
  {
    name: 'alias list',
    takes: '',
    summary: 'aliases, of one domain or all',
    options: { domain: { type: 'string', help: 'only this domain' } },
    async run({ bus, args, options }) {
      take(args)
      const aliases: Alias[] = []
      const domain = textOption(options, 'domain')
      for (let more = true; more; ) {
        const page = await bus.request(listAliases, given({ domain, after: aliases.at(-1)?.address }))
        aliases.push(...page.aliases)
        more = page.more
      }
      const rows = aliases.map(({ address, kind, members, owner }) => [address, kind, owner, members])
      return { value: aliases, text: table(['address', 'kind', 'owner', 'members'], rows) }
    },
  },
  {
    name: 'alias change',
    takes: '<address>',
    summary: 'change kind, members or owner',
    details: '--member replaces all members.',
    options: memberOptions,
    async run({ bus, args, options }) {
      const [address] = take(args, '<address>')
      const value = await bus.request(changeAlias, {
        address,
        ...given({
          kind: kindOption(options),
          members: listOption(options, 'member'),
          owner: textOption(options, 'owner'),
        }),
      })
      return { value, text: facts({ ...value }) }
    },
  },
  {
    name: 'alias remove',
    takes: '<address>',
    summary: 'remove an alias, group or list',
    async run({ bus, args }) {
      const [address] = take(args, '<address>')
      const value = await bus.request(removeAlias, { address })
      return { value, text: `removed ${value.address}` }
    },
  },
]
