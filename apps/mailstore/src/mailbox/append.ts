/**
 * APPEND: literals a front end staged become messages, all or none. What is staged is taken away only afterwards, so that
 * an append that failed may be tried again.
 */
import { RequestRefused } from '@postbus/bus'
import type { AccountId } from '@postbus/contracts'

import type { StoredContent } from './content.ts'
import { parseFlags } from './flags.ts'
import type { AppendTo, Writes } from './storage.ts'

export interface Staged {
  /** Where its bytes are; without it they are in `octets`, in base64. */
  blob?: string | undefined
  octets?: string | undefined
  size: number
  flags: string[]
  internalDate?: string | undefined
  /** It came as a literal8: its binary parts are put into base64. */
  binary: boolean
}

export interface AppendPorts {
  /** The staged bytes ready to be stored: read, or under a key of their own. @throws a refusal */
  prepare(staged: Staged): Promise<StoredContent>
  /** @throws a refusal */
  append(input: AppendTo): Promise<Writes['append']['output']>
  /** Takes blobs away; failing to is somebody else's (the sweep's) work. */
  discard(blobs: readonly string[]): Promise<void>
  now(): number
}

export interface AppendRequest {
  account: AccountId
  name: string
  quotaBytes: number | null
  replaces?: AppendTo['replaces']
  messages: readonly Staged[]
}

export type AppendMessages = (request: AppendRequest) => ReturnType<AppendPorts['append']>

export function appendMessages(ports: AppendPorts): AppendMessages {
  return async ({ messages, ...to }) => {
    const saveDate = ports.now()
    const contents: StoredContent[] = []
    try {
      // One after the other: what is large is streamed, and a hundred streams at once are too many.
      for (const message of messages) contents.push(await ports.prepare(message))
      const appended = await ports.append({
        ...to,
        messages: contents.map((content, index) => ({
          content,
          flags: parseFlags(messages[index]?.flags ?? []),
          internalDate: timeOf(messages[index]?.internalDate) ?? saveDate,
          saveDate,
        })),
      })
      await ports.discard(messages.flatMap(({ blob }) => blob ?? []))
      return appended
    } catch (error) {
      // Refused means not stored. After any other failure we do not know, and the bytes stay until the sweep finds them unused.
      if (error instanceof RequestRefused) await ports.discard(contents.flatMap(({ blob }) => blob?.key ?? []))
      throw error
    }
  }
}

const timeOf = (date: string | undefined): number | undefined => (date === undefined ? undefined : Date.parse(date))
