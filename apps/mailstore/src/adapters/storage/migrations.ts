import type { Migration } from '@postbus/sql'

import { migrateFullText } from './migrate-full-text.ts'
import * as postgres from './postgres-tables.ts'

/** Tables are explained in schema.ts. On SQLite page and row order are chosen: narrow rows clustered by (mailbox, uid). */
export const migrations: readonly Migration[] = [
  {
    name: '0001-mailboxes-and-messages',
    sqlite: `
      create table accounts (
        account text primary key,
        used_bytes integer not null,
        messages integer not null,
        last_uid_validity integer not null
      ) strict, without rowid;

      create table mailboxes (
        id integer primary key autoincrement,
        account text not null,
        name text,
        uid_validity integer not null,
        uid_next integer not null,
        highest_modseq integer not null,
        recent_from integer not null,
        messages integer not null,
        unseen integer not null,
        deleted integer not null,
        size integer not null,
        special_use text not null
      ) strict;
      create unique index mailboxes_by_name on mailboxes (account, name);
      create index mailboxes_deleted on mailboxes (id) where name is null;

      create table messages (
        mailbox integer not null,
        uid integer not null,
        modseq integer not null,
        flags integer not null,
        internal_date integer not null,
        save_date integer not null,
        size integer not null,
        email integer not null,
        primary key (mailbox, uid)
      ) strict, without rowid;
      create index messages_by_modseq on messages (mailbox, modseq);

      create table keywords (
        mailbox integer not null,
        keyword integer not null,
        name text not null,
        folded text not null,
        primary key (mailbox, keyword),
        unique (mailbox, folded)
      ) strict, without rowid;
      create table message_keywords (
        mailbox integer not null,
        uid integer not null,
        keyword integer not null,
        primary key (mailbox, uid, keyword)
      ) strict, without rowid;

      create table vanished (
        mailbox integer not null,
        modseq integer not null,
        first_uid integer not null,
        last_uid integer not null,
        primary key (mailbox, modseq, first_uid)
      ) strict, without rowid;

      create table subscriptions (
        account text not null,
        name text not null,
        primary key (account, name)
      ) strict, without rowid;

      create table emails (
        id integer primary key autoincrement,
        account text not null,
        content integer not null,
        refs integer not null,
        prefix blob not null
      ) strict;
      create index emails_unused on emails (id) where refs = 0;

      create table contents (
        id integer primary key autoincrement,
        queue_id text,
        refs integer not null,
        size integer not null,
        header_size integer not null,
        sent_day text,
        blob text,
        blob_offset integer not null,
        envelope text not null,
        wire_structure text not null,
        wire_body text not null,
        structure text not null,
        header blob not null
      ) strict;
      create unique index contents_by_queue_id on contents (queue_id) where queue_id is not null;
      create index contents_unused on contents (id) where refs = 0;
      create index contents_by_blob on contents (blob) where blob is not null;

      create table bodies (
        content integer primary key,
        bytes blob not null
      ) strict;

      create table deliveries (
        queue_id text not null,
        account text not null,
        mailbox integer not null,
        uid integer not null,
        at integer not null,
        primary key (queue_id, account)
      ) strict, without rowid;

      create table dead_blobs (
        blob text primary key,
        at integer not null
      ) strict, without rowid;
    `,
    postgres: postgres.mailboxesAndMessages,
  },
  { name: '0002-full-text', sqlite: migrateFullText, postgres: postgres.fullText },
  {
    name: '0003-metadata',
    sqlite: `
      create table metadata (
        account text not null,
        mailbox integer not null,
        entry text not null,
        value blob not null,
        primary key (account, mailbox, entry)
      ) strict, without rowid;
      `,
    postgres: postgres.metadata,
  },
  {
    name: '0005-undelete',
    sqlite: `
      create table expunged (
        id integer primary key autoincrement,
        account text not null,
        mailbox_name text not null,
        uid integer not null,
        at integer not null,
        flags integer not null,
        keywords text not null,
        internal_date integer not null,
        size integer not null,
        email integer not null
      ) strict;
      create index expunged_by_account on expunged (account, id);
      create index expunged_by_time on expunged (at);

      create table removed_mailboxes (
        mailbox integer primary key,
        name text not null,
        at integer not null
      ) strict;
    `,
    postgres: postgres.undelete,
  },
  {
    // What SEARCH finds changed (addresses of the envelope, broken encodings): an index of before would rule it out.
    name: '0006-texts-read-anew',
    sqlite: 'update text_index set epoch = lower(hex(randomblob(16)))',
    postgres: postgres.textsReadAnew,
  },
]
