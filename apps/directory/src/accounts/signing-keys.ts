/**
 * The keys tokens are signed with: one is there before the first login, a new one comes after a while, and an old one stays
 * for as long as tokens signed with it, and processes that still sign with it, can be about.
 */
import type { DirectoryStore } from '../store.ts'
import { newSigningKey, type Tokens } from './tokens.ts'

const DAY_MS = 86_400_000
const LOOK_EVERY_MS = 3_600_000
/** Longer than the longest token and the time between two looks together. */
const KEPT_AFTERWARDS_MS = 2 * DAY_MS

interface Settings {
  days: number
  /** A look that failed; the keys at hand go on. */
  failed(error: unknown): void
}

export async function keepSigningKeys(
  store: Pick<DirectoryStore, 'rotateSigningKey'>,
  tokens: Tokens,
  { days, failed }: Settings,
): Promise<{ stop(): void }> {
  await rotate(store, tokens, days)
  const timer = setInterval(() => void rotate(store, tokens, days).catch(failed), LOOK_EVERY_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

async function rotate(store: Pick<DirectoryStore, 'rotateSigningKey'>, tokens: Tokens, days: number): Promise<void> {
  const now = Date.now()
  const before = (ms: number) => new Date(now - ms).toISOString()
  const key = await newSigningKey(new Date(now))
  await store.rotateSigningKey(key, before(days * DAY_MS), before(days * DAY_MS + KEPT_AFTERWARDS_MS))
  await tokens.loadKeys()
}
