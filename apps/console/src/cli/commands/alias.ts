/**
 * postbus alias …, group …, list …: addresses that stand for others. `alias` knows every kind; `group` and `list` are the
 * same with the kind said already.
 */
import { type Bus, RequestRefused } from '@postbus/bus'
import { addAlias, type Alias, changeAlias, listAliases, removeAlias } from '@postbus/contracts'

import { type Command, given, listOption, type OptionValues, take, textOption, UsageError } from '../command.ts'
import { facts, table } from '../table.ts'

type Kind = Alias['kind']
const kinds = ['alias', 'group', 'list', 'discard'] as const satisfies readonly Kind[]

interface Noun {
  noun: string
  /** The kind of what is added; null: an option says. */
  kind: Kind | null
  what: string
  details: string
}

const options = {
  member: { type: 'string', multiple: true, help: 'an address it stands for; repeat for more' },
  owner: { type: 'string', help: 'whom reports go to, for a group or list' },
} satisfies Command['options']

const kindOptions = { kind: { type: 'string', help: `one of ${kinds.join(', ')}` } } satisfies Command['options']

const changes = {
  ...{ 'add-member': { type: 'string', multiple: true, help: 'one more address; repeat for more' } },
  ...{
    'remove-member': { type: 'string', multiple: true, help: 'an address it no longer stands for; repeat for more' },
  },
} satisfies Command['options']

export const aliasCommands = commandsOf({
  noun: 'alias',
  kind: null,
  what: 'an alias, group, list or discarding address',
  details:
    'An alias keeps the sender; a group or list sends to its members in the name of its owner, who gets the reports. Mail to a\ndiscard address ends there, and the books say so.',
})

export const groupCommands = commandsOf({
  noun: 'group',
  kind: 'group',
  what: 'a group',
  details: 'Mail to a group goes to its members in the name of its owner, who gets the reports.',
})

export const listCommands = commandsOf({
  noun: 'list',
  kind: 'list',
  what: 'a list',
  details: 'Mail to a list goes to its members in the name of its owner, who gets the reports.',
})

function commandsOf({ noun, kind, what, details }: Noun): Command[] {
  const one = (bus: Bus, address: string) => aliasAt(bus, address, kind, what)
  return [
    {
      name: `${noun} add`,
      takes: '<address>',
      summary: `add ${what}`,
      details,
      options: kind === null ? { ...kindOptions, ...options } : options,
      async run({ bus, args, options }) {
        const [address] = take(args, '<address>')
        const value = await bus.request(addAlias, {
          address,
          kind: kind ?? kindOption(options) ?? 'alias',
          members: listOption(options, 'member') ?? [],
          ...given({ owner: textOption(options, 'owner') }),
        })
        return { value, text: facts({ ...value }) }
      },
    },
    {
      name: `${noun} list`,
      takes: '',
      summary: `every ${noun}, of one domain or all`,
      options: { domain: { type: 'string', help: 'only this domain' } },
      async run({ bus, args, options }) {
        take(args)
        const filter = given({ domain: textOption(options, 'domain'), kinds: kind === null ? undefined : [kind] })
        const aliases: Alias[] = []
        for (let more = true; more;) {
          const page = await bus.request(listAliases, { ...filter, ...given({ after: aliases.at(-1)?.address }) })
          aliases.push(...page.aliases)
          more = page.more
        }
        const rows = aliases.map(({ address, kind, members, owner }) => [address, kind, owner, members])
        return { value: aliases, text: table(['address', 'kind', 'owner', 'members'], rows) }
      },
    },
    {
      name: `${noun} show`,
      takes: '<address>',
      summary: `one ${noun}`,
      async run({ bus, args }) {
        const value = await one(bus, ...take(args, '<address>'))
        return { value, text: facts({ ...value }) }
      },
    },
    {
      name: `${noun} change`,
      takes: '<address>',
      summary: 'change kind, members or owner',
      details:
        '--member replaces all members; --add-member and --remove-member read them first, so let one operator at a time do that.',
      options: { ...kindOptions, ...options, ...changes },
      async run({ bus, args, options }) {
        const before = await one(bus, ...take(args, '<address>'))
        const value = await bus.request(changeAlias, {
          address: before.address,
          ...given({
            kind: kindOption(options),
            members: membersOf(before, options),
            owner: textOption(options, 'owner'),
          }),
        })
        return { value, text: facts({ ...value }) }
      },
    },
    {
      name: `${noun} remove`,
      takes: '<address>',
      summary: `remove ${what}`,
      async run({ bus, args }) {
        const { address } = await one(bus, ...take(args, '<address>'))
        const value = await bus.request(removeAlias, { address })
        return { value, text: `removed ${value.address}` }
      },
    },
  ]
}

async function aliasAt(bus: Bus, address: string, kind: Kind | null, what: string): Promise<Alias> {
  const [alias] = (await bus.request(listAliases, { address })).aliases
  if (alias !== undefined && (kind === null || alias.kind === kind)) return alias
  const is = alias === undefined ? '' : `, it is of kind ${alias.kind}`
  throw new RequestRefused('noSuchAlias', `address: ${address} is not ${what}${is}`)
}

/** Undefined: as they are. */
function membersOf({ members }: Alias, options: OptionValues): string[] | undefined {
  const all = listOption(options, 'member')
  const added = listOption(options, 'add-member') ?? []
  const removed = listOption(options, 'remove-member')?.map((member) => member.toLowerCase()) ?? []
  if (added.length === 0 && removed.length === 0) return all
  if (all !== undefined)
    throw new UsageError('--member replaces all members; it cannot stand beside --add-member or --remove-member')
  const gone = removed.filter((member) => !members.some((one) => one.toLowerCase() === member))
  if (gone.length > 0) throw new UsageError(`not a member: ${gone.join(', ')}`)
  return [...members.filter((member) => !removed.includes(member.toLowerCase())), ...added]
}

function kindOption(options: OptionValues): Kind | undefined {
  const text = textOption(options, 'kind')
  const kind = kinds.find((candidate) => candidate === text)
  if (text !== undefined && kind === undefined) {
    throw new UsageError(`--kind is one of ${kinds.join(', ')}, not ${text}`)
  }
  return kind
}
