/**
 * The tables. What must be read often and quickly (a row per message) is narrow; bytes lie at the end of the chain:
 *
 *   mailboxes ─< messages >─ emails >─ contents ─ bodies | a blob
 *
 * `messages`: one message in one mailbox. `emails`: one message of one account, shared by its copies (RFC 8474's EMAILID).
 * `contents`: the bytes as accepted and what was computed from them once, shared by all accounts it was delivered to.
 */
import type { Generated } from 'kysely'

export interface Tables {
  accounts: {
    account: string
    used_bytes: number
    messages: number
    /** The next mailbox of the account gets a higher one, also when a name is used again — RFC 9051 §2.3.1.1. */
    last_uid_validity: number
  }
  mailboxes: {
    /** Never reused. */
    id: Generated<number>
    account: string
    /** Null: deleted, its messages are about to be. */
    name: string | null
    uid_validity: number
    uid_next: number
    highest_modseq: number
    /** UIDs from here on were claimed as \Recent by nobody. */
    recent_from: number
    messages: number
    unseen: number
    deleted: number
    size: number
    /** Attributes separated by spaces. */
    special_use: string
  }
  messages: {
    mailbox: number
    uid: number
    modseq: number
    /** Bits of mailbox/flags.ts. */
    flags: number
    /** Milliseconds since 1970, like every time here. */
    internal_date: number
    save_date: number
    size: number
    email: number
  }
  /** Names of keywords of a mailbox, as first written. */
  keywords: { mailbox: number; keyword: number; name: string; folded: string }
  message_keywords: { mailbox: number; uid: number; keyword: number }
  /** UIDs that went, in runs. */
  vanished: { mailbox: number; modseq: number; first_uid: number; last_uid: number }
  /** Messages that can still be restored. Each counts in its email's `refs` like a message that is shown. */
  expunged: {
    id: Generated<number>
    account: string
    /** The mailbox's name at that time. */
    mailbox_name: string
    uid: number
    at: number
    flags: number
    /** Names, as a JSON array. */
    keywords: string
    internal_date: number
    size: number
    email: number
  }
  /** What a deleted mailbox was called and when it went, until `purge` is through with it. */
  removed_mailboxes: { mailbox: number; name: string; at: number }
  subscriptions: { account: string; name: string }
  /** Annotations — RFC 5464. `mailbox` 0: of the account as a whole. */
  metadata: { account: string; mailbox: number; entry: string; value: Uint8Array }
  emails: {
    id: Generated<number>
    account: string
    content: number
    /** How many messages show it. 0: to be removed. */
    refs: number
    /** Fields put before the content at delivery. */
    prefix: Uint8Array
  }
  contents: {
    id: Generated<number>
    /** Null for appended ones. */
    queue_id: string | null
    /** How many emails show it. 0: to be removed. */
    refs: number
    size: number
    header_size: number
    /** The day of the Date field as written, YYYY-MM-DD. */
    sent_day: string | null
    blob: string | null
    blob_offset: number
    envelope: string
    wire_structure: string
    wire_body: string
    /** As libs/message packs it: offsets of all parts, and the envelope in fields. */
    structure: string
    /** The header, up to MAX_HELD_BYTES of it. */
    header: Uint8Array
  }
  /** Of each content what SORT and THREAD go by: strings folded, as libs/message's SortKeys. */
  sort_keys: {
    content: number
    sent_at: number | null
    subject: string
    is_reply: number
    from_mailbox: string
    to_mailbox: string
    cc_mailbox: string
    display_from: string
    display_to: string
    message_id: string | null
    /** Separated by spaces. */
    ancestors: string
  }
  /** SQLite, one row: which text index belongs to this database. Another one from when a restored copy may lack what was indexed. */
  text_index: { epoch: string }
  /** SQLite: contents that are gone and may still be in the text index. */
  dead_texts: { content: number }
  /** PostgreSQL: of texts that are indexed, see text-index/signatures. Null: too long, or could not be read; always looked at. */
  text_signatures: { content: number; headers: Uint8Array | null; bodies: Uint8Array | null }
  /** PostgreSQL: contents whose texts are not. */
  unindexed_texts: { content: number }
  /** What follows the header, of contents that are not in a blob. */
  bodies: { content: number; bytes: Uint8Array }
  /** That a message was delivered to an account: survives expunge, move and deletion of the mailbox. */
  deliveries: { queue_id: string; account: string; mailbox: number; uid: number; at: number }
  /** Blobs no content names any more, removed after a grace in which readers may finish. */
  dead_blobs: { blob: string; at: number }
}
