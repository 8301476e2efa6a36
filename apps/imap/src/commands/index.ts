/** Every command there is, by name. */
import type { Command } from '../command.ts'
import { append } from './append.ts'
import { authenticate } from './authenticate.ts'
import { capability } from './capability.ts'
import { close, unselect } from './close.ts'
import { compress } from './compress.ts'
import { copy, move, uidCopy, uidMove } from './copy.ts'
import { create } from './create.ts'
import { remove } from './delete.ts'
import { enable } from './enable.ts'
import { expunge, uidExpunge } from './expunge.ts'
import { fetch, uidFetch } from './fetch.ts'
import { id } from './id.ts'
import { idle } from './idle.ts'
import { list, lsub } from './list.ts'
import { login } from './login.ts'
import { logout } from './logout.ts'
import { getMetadata, setMetadata } from './metadata.ts'
import { namespace } from './namespace.ts'
import { check, noop } from './noop.ts'
import { getQuota, getQuotaRoot, setQuota } from './quota.ts'
import { rename } from './rename.ts'
import { replace, uidReplace } from './replace.ts'
import { search, uidSearch } from './search.ts'
import { examine, select } from './select.ts'
import { sort, uidSort } from './sort.ts'
import { starttls } from './starttls.ts'
import { status } from './status.ts'
import { store, uidStore } from './store.ts'
import { subscribe, unsubscribe } from './subscribe.ts'
import { thread, uidThread } from './thread.ts'

const all: readonly Command[] = [
  ...[capability, id, noop, logout],
  ...[starttls, login, authenticate],
  ...[enable, namespace, list, lsub, subscribe, unsubscribe, create, remove, rename, status, select, examine],
  ...[append, idle, compress, getQuota, getQuotaRoot, setQuota, getMetadata, setMetadata],
  ...[replace, uidReplace],
  ...[close, unselect, check, expunge, search, fetch, store, copy, move],
  ...[sort, thread, uidSort, uidThread],
  ...[uidExpunge, uidSearch, uidFetch, uidStore, uidCopy, uidMove],
]

export const commands: ReadonlyMap<string, Command> = new Map(all.map((command) => [command.name, command]))
