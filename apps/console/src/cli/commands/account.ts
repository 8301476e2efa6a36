/** postbus account … */
import { RequestRefused } from '@postbus/bus'
import { addAccount, changeAccount, listAccounts, removeAccount, type Account } from '@postbus/contracts'

import {
  given,
  limitOption,
  take,
  textOption,
  UsageError,
  type Answer,
  type Command,
  type OptionValues,
} from '../command.ts'
import { choosePassword, passwordOptions } from '../password.ts'
import { bytes, facts, table } from '../table.ts'

const settingOptions = {
  name: { type: 'string', help: 'the person' },
  quota: { type: 'string', help: 'bytes, with K, M, G or T, or none' },
  'recipients-per-hour': { type: 'string', help: "sending limit, or default for the platform's" },
  'messages-per-hour': { type: 'string', help: "sending limit, or default for the platform's" },
} satisfies Command['options']

const settings = (options: OptionValues) =>
  given({
    name: textOption(options, 'name'),
    quotaBytes: limitOption(options, 'quota', 'none'),
    recipientsPerHour: limitOption(options, 'recipients-per-hour', 'default'),
    messagesPerHour: limitOption(options, 'messages-per-hour', 'default'),
  })

function shown(account: Account, generated: string | undefined): Answer {
  const value = generated === undefined ? account : { ...account, password: generated }
  return { value, text: facts({ ...value, quotaBytes: bytes(account.quotaBytes) }) }
}

export const accountCommands: Command[] = [
  {
    name: 'account add',
    takes: '<address>',
    summary: 'add an account',
    details: 'Without a password the account takes mail and cannot log in.',
    options: { ...passwordOptions, ...settingOptions },
    async run({ bus, args, options }) {
      const [address] = take(args, '<address>')
      const { password, passwordHash, generated } = await choosePassword(options, true)
      const secret = given({ password, passwordHash })
      const account = await bus.request(addAccount, { address, ...secret, ...settings(options) })
      return shown(account, generated ? password : undefined)
    },
  },
  {
    name: 'account list',
    takes: '',
    summary: 'accounts, of one domain or all',
    options: { domain: { type: 'string', help: 'only this domain' } },
    async run({ bus, args, options }) {
      take(args)
      const accounts: Account[] = []
      const domain = textOption(options, 'domain')
      for (let more = true; more;) {
        const page = await bus.request(listAccounts, given({ domain, after: accounts.at(-1)?.address }))
        accounts.push(...page.accounts)
        more = page.more
      }
      const rows = accounts.map(({ address, account, enabled, quotaBytes, name }) => [
        address,
        account,
        enabled ? 'yes' : 'no',
        bytes(quotaBytes),
        name,
      ])
      return { value: accounts, text: table(['address', 'account', 'enabled', 'quota', 'name'], rows) }
    },
  },
  {
    name: 'account show',
    takes: '<address>',
    summary: 'one account',
    async run({ bus, args }) {
      const [address] = take(args, '<address>')
      const [account] = (await bus.request(listAccounts, { address })).accounts
      if (account === undefined) throw new RequestRefused('noSuchAccount', `address: ${address} is no account`)
      return shown(account, undefined)
    },
  },
  {
    name: 'account change',
    takes: '<address>',
    summary: 'change the password or settings of an account',
    options: {
      ...passwordOptions,
      ...settingOptions,
      enable: { type: 'boolean', help: 'let it log in and take mail' },
      disable: { type: 'boolean', help: 'refuse its logins and its mail' },
    },
    async run({ bus, args, options }) {
      const [address] = take(args, '<address>')
      if (options['enable'] && options['disable']) throw new UsageError('--enable or --disable, not both')
      const enabled = options['enable'] ? true : options['disable'] ? false : undefined
      const { password, passwordHash, generated } = await choosePassword(options, false)
      const account = await bus.request(changeAccount, {
        address,
        ...given({ password, passwordHash, enabled }),
        ...settings(options),
      })
      return shown(account, generated ? password : undefined)
    },
  },
  {
    name: 'account remove',
    takes: '<address>',
    summary: 'remove an account; its mail stays in the mailstore',
    async run({ bus, args }) {
      const [address] = take(args, '<address>')
      const value = await bus.request(removeAccount, { address })
      return { value, text: `removed ${value.address}` }
    },
  },
]
