/** What every command of `postbus` is made of. */
import type { Bus } from '@postbus/bus'
import type { ParseArgsConfig } from 'node:util'

export type OptionValues = Record<string, string | boolean | string[] | undefined>

export interface CommandContext {
  bus: Bus
  /** What stands after the command's name. */
  args: string[]
  options: OptionValues
  /** Who calls, for the books. */
  by: string
  /** A line of the answer while it is being made; `text` of the answer follows. */
  print(line: string): void
  /** How far a long command has come. */
  progress(text: string): void
  /** The same in a line that the next one replaces, where there is a terminal; else a line now and then. Null: no more of it. */
  status(text: string | null): void
  env: NodeJS.ProcessEnv
}

/** What a command answers: the value for `--json`, and the same for a person. */
export interface Answer {
  value: unknown
  text: string
  /** It has been printed already. */
  silent?: boolean
  /** What was asked could not be done for all; exit code 1. */
  incomplete?: boolean
  /** Instead of 0. */
  status?: number
}

/** What every command says of itself. */
export interface Described {
  /** `account add` */
  name: string
  /** What stands after the name, for the usage line. */
  takes: string
  summary: string
  /** A paragraph for `--help`, where the summary is not enough. */
  details?: string
  options?: Record<string, NonNullable<ParseArgsConfig['options']>[string] & { help: string }>
  /** Errors that say no, and why: no fault of the command's own. */
  refusals?: readonly (abstract new (...args: never[]) => Error)[]
}

/** One that asks services, over the bus. */
export interface Command extends Described {
  run(context: CommandContext): Promise<Answer>
}

export type LocalContext = Omit<CommandContext, 'bus'>

/** One that works on the machine it is called on, with or without a bus. */
export interface LocalCommand extends Described {
  runLocally(context: LocalContext): Promise<Answer>
}

/** The command was called wrongly; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Whether the arguments can be what `takes` names; `[<recipient>]` may be left out, and what stands behind it too. */
export function checkArguments(args: readonly string[], takes: string): void {
  const names = takes.split(' ').filter((name) => name !== '')
  const needed = names.filter((name) => !name.startsWith('[')).length
  if (args.length < needed || args.length > names.length) throw new UsageError(`wanted: ${takes || 'no arguments'}`)
}

/** As many arguments as named, or a usage error; those named in `[brackets]` may be missing at the end. */
export function take<const Names extends readonly string[]>(
  args: string[],
  ...names: Names
): { [K in keyof Names]: Names[K] extends `[${string}` ? string | undefined : string } {
  const required = names.filter((name) => !name.startsWith('['))
  if (args.length < required.length || args.length > names.length) {
    throw new UsageError(`wanted: ${names.join(' ') || 'no arguments'}`)
  }
  // Counted just now.
  return args as { [K in keyof Names]: Names[K] extends `[${string}` ? string | undefined : string }
}

export const textOption = (options: OptionValues, name: string): string | undefined => {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

export const listOption = (options: OptionValues, name: string): string[] | undefined => {
  const value = options[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined
}

/** @param absent the word that takes the limit away */
export function limitOption(options: OptionValues, name: string, absent: string): number | null | undefined {
  const text = textOption(options, name)
  if (text === undefined) return undefined
  if (text === absent) return null
  const [, digits, unit = ''] = /^(\d{1,12})([KMGT]?)$/i.exec(text) ?? []
  if (digits === undefined)
    throw new UsageError(`--${name}: a number, with K, M, G or T for bytes, or ${absent}; not ${text}`)
  return Number(digits) * 1024 ** ' KMGT'.indexOf(unit === '' ? ' ' : unit.toUpperCase())
}

/** Only what was given: a setting that is not named stays as it is. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
