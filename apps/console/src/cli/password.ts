/** Where a password comes from: standard input, a prompt without echo, or made here. From an argument only when asked for in so many words. */
import { createInterface } from 'node:readline'

import { generatedPassword } from '@postbus/profile'

import { UsageError, textOption, type Command, type OptionValues } from './command.ts'

export const passwordOptions = {
  'password-stdin': { type: 'boolean', help: 'read the password from standard input' },
  'ask-password': { type: 'boolean', help: 'ask for it on the terminal, without echo' },
  'password-hash-stdin': {
    type: 'boolean',
    help: 'read its hash by another system, as in a passwd file or of `doveadm pw`; it becomes ours at the first login',
  },
  'generate-password': { type: 'boolean', help: 'make one and print it' },
  password: {
    type: 'string',
    help: 'the password itself. Avoid: others on this machine can see it, and the shell keeps it',
  },
} satisfies Command['options']

export interface Chosen {
  password: string | undefined
  /** Of another system, in place of a password. */
  passwordHash?: string
  /** To be shown, because nobody knows it yet. */
  generated: boolean
}

/** @param ask whether to ask on the terminal, if there is one, when no option says otherwise; an empty answer is none */
export async function choosePassword(options: OptionValues, ask: boolean): Promise<Chosen> {
  const ways = ['password-stdin', 'password-hash-stdin', 'ask-password', 'generate-password', 'password'].filter(
    (name) => options[name] !== undefined,
  )
  if (ways.length > 1) throw new UsageError(`only one of --${ways.join(', --')}`)
  if (options['generate-password']) return { password: generatedPassword(), generated: true }
  if (options['password-stdin']) return { password: await firstLine(), generated: false }
  if (options['password-hash-stdin']) return { password: undefined, passwordHash: await firstLine(), generated: false }
  const argument = textOption(options, 'password')
  const wanted = options['ask-password'] === true || (ask && process.stdin.isTTY)
  if (argument !== undefined || !wanted) return { password: argument, generated: false }
  if (!process.stdin.isTTY) throw new UsageError('--ask-password needs a terminal; see --password-stdin')
  const password = await prompt('password: ')
  if ((await prompt('again: ')) !== password) throw new UsageError('the two are not the same')
  return { password: password === '' ? undefined : password, generated: false }
}

/** A password somebody else set: typed once, or from standard input. */
export async function knownPassword(options: OptionValues): Promise<string> {
  if (options['password-stdin']) return firstLine()
  if (!process.stdin.isTTY) throw new UsageError('the password comes from standard input: say --password-stdin')
  return prompt('password: ')
}

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin })) return line
  throw new UsageError('standard input is empty')
}

function prompt(question: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8').resume()
  return new Promise((resolve, reject) => {
    let typed = ''
    const finish = (): void => {
      stdin.setRawMode(false)
      stdin.pause().off('data', onData)
      stderr.write('\n')
    }
    const onData = (text: string): void => {
      for (const key of text) {
        if (key === '\r' || key === '\n') return (finish(), resolve(typed))
        if (key === '\u0003' || key === '\u0004') return (finish(), reject(new UsageError('cancelled')))
        typed = key === '\u007f' || key === '\b' ? typed.slice(0, -1) : typed + key
      }
    }
    stdin.on('data', onData)
  })
}
