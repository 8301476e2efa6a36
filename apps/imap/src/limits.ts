/** Settings → the limits of one connection. */
import type { ImapConfig } from './config.ts'
import type { ConnectionLimits } from './connection-context.ts'

/** Literals of one command that are no messages; SEARCH with a literal for every key is the longest anybody writes. */
const MAX_LITERALS = 1000
/** A refused literal is read to its end up to this much more than a message may have; beyond, the connection ends. */
const SKIPPED_BEYOND_APPEND = 2

/** What one session reads ahead: some fifty messages of usual length, for a client that asks for one after the other. */
const READ_AHEAD_BYTES = 256 * 1024

/** A client that gives one command after the other is not looked for between all of them. */
const STEADY_LOOK_MS = 200

/** Messages of one FETCH from which on it is worth asking what happened instead of asking for them. */
export const FEWEST_KNOWN = 100

export function connectionLimits(config: ImapConfig): ConnectionLimits {
  return {
    autologoutMs: config.IMAP_AUTOLOGOUT_MS,
    loginMs: config.IMAP_LOGIN_TIMEOUT_MS,
    stallMs: config.IMAP_STALL_TIMEOUT_MS,
    recheckMs: config.IMAP_RECHECK_MS,
    steadyLookMs: STEADY_LOOK_MS,
    keepaliveMs: config.IMAP_IDLE_KEEPALIVE_MS,
    maxLineBytes: config.IMAP_MAX_LINE_BYTES,
    maxHeldBytes: config.IMAP_MAX_LITERAL_BYTES,
    maxLiterals: MAX_LITERALS,
    maxSkippedBytes: SKIPPED_BEYOND_APPEND * config.IMAP_MAX_APPEND_BYTES,
    maxAheadBytes: config.IMAP_MAX_LINE_BYTES,
    maxAppendBytes: config.IMAP_MAX_APPEND_BYTES,
    maxReadAheadBytes: READ_AHEAD_BYTES,
    maxBufferedBytes: config.IMAP_MAX_BUFFERED_BYTES,
    maxBadCommands: config.IMAP_MAX_BAD_COMMANDS,
    maxCommandsBeforeLogin: config.IMAP_MAX_COMMANDS_BEFORE_LOGIN,
    maxCommandsPerSecond: config.IMAP_MAX_COMMANDS_PER_SECOND,
    maxFailedLogins: config.IMAP_MAX_FAILED_LOGINS,
  }
}
