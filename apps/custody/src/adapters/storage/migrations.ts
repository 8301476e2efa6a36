import type { MessageEntry, Recipient } from '@postbus/contracts'
import type { Migration, Transaction } from '@postbus/sql'

import { hashOfAddress, hashOfMessageId, hourOf } from './hashes.ts'

/**
 * `phase`: 0 open, 1 report due, 2 settled, 3 buried, 4 freed. Times are milliseconds. Every index serves one paged
 * question and holds only the rows that question is about, so that history costs nothing. Where SQLite's indexes end in the primary key
 * by themselves, PostgreSQL's say so; and where a page is of what two conditions leave, it has an index of both: it takes them for
 * independent of each other, and would sort everything for each page.
 */
export const migrations: readonly Migration[] = [
  {
    name: '0001-books',
    sqlite: `
      create table leadership (
        id integer primary key check (id = 1),
        epoch integer not null,
        lease_revision integer not null
      ) strict;
      insert into leadership values (1, 0, 0);

      create table message (
        queue_id text primary key,
        phase integer not null,
        incarnation integer not null,
        originals integer,
        entry text,
        seen_at integer not null,
        unrouted_due_at integer,
        freed_at integer
      ) strict, without rowid;
      create index message_by_phase on message (phase, queue_id) where phase < 4;
      create index message_unrouted on message (unrouted_due_at) where unrouted_due_at is not null;
      create index message_freed on message (freed_at) where freed_at is not null;

      create table original (
        queue_id text not null,
        original integer not null,
        recipient text,
        routed integer not null,
        primary key (queue_id, original)
      ) strict, without rowid;

      create table routed_page (
        queue_id text not null,
        original integer not null,
        incarnation integer not null,
        page integer not null,
        primary key (queue_id, original, incarnation, page)
      ) strict, without rowid;

      create table recipient (
        queue_id text not null,
        n text not null,
        original integer,
        listing text,
        status text,
        first_attempt_at text,
        state text not null,
        open integer not null,
        due_at integer,
        primary key (queue_id, n)
      ) strict, without rowid;
      create index recipient_open on recipient (queue_id) where open = 1;
      create index recipient_due on recipient (due_at) where due_at is not null;

      create table tombstone (
        queue_id text primary key,
        buried_at integer not null,
        freed_at integer
      ) strict, without rowid;
      create index tombstone_waiting on tombstone (queue_id) where freed_at is null;
      create index tombstone_age on tombstone (buried_at) where freed_at is not null;
    `,
    postgres: `
      create table leadership (
        id integer primary key check (id = 1),
        epoch bigint not null,
        lease_revision bigint not null
      );
      insert into leadership values (1, 0, 0);

      create table message (
        queue_id text collate "C" primary key,
        phase integer not null,
        incarnation bigint not null,
        originals integer,
        entry text collate "C",
        seen_at bigint not null,
        unrouted_due_at bigint,
        freed_at bigint
      );
      create index message_by_phase on message (phase, queue_id) where phase < 4;
      create index message_unrouted_task on message (queue_id) where phase = 0 and unrouted_due_at is not null;
      create index message_unrouted on message (unrouted_due_at) where unrouted_due_at is not null;
      create index message_freed on message (freed_at) where freed_at is not null;

      create table original (
        queue_id text collate "C" not null,
        original integer not null,
        recipient text collate "C",
        routed integer not null,
        primary key (queue_id, original)
      );

      create table routed_page (
        queue_id text collate "C" not null,
        original integer not null,
        incarnation bigint not null,
        page integer not null,
        primary key (queue_id, original, incarnation, page)
      );

      create table recipient (
        queue_id text collate "C" not null,
        n text collate "C" not null,
        original integer,
        listing text collate "C",
        status text collate "C",
        first_attempt_at text collate "C",
        state text collate "C" not null,
        open integer not null,
        due_at bigint,
        primary key (queue_id, n)
      );
      create index recipient_open on recipient (queue_id, n) where open = 1;
      create index recipient_task on recipient (queue_id, n) where open = 1 and due_at is not null;
      create index recipient_dead on recipient (queue_id, n) where open = 1 and state = 'dead';
      create index recipient_due on recipient (due_at) where due_at is not null;

      create table tombstone (
        queue_id text collate "C" primary key,
        buried_at bigint not null,
        freed_at bigint
      );
      create index tombstone_waiting on tombstone (queue_id) where freed_at is null;
      create index tombstone_age on tombstone (buried_at) where freed_at is not null;
    `,
  },
  {
    name: '0002-reports',
    sqlite: `
      alter table recipient add column report text;
      alter table recipient add column delay_report text;
      alter table recipient add column report_due_at integer;
      create index recipient_report_due on recipient (report_due_at) where report_due_at is not null;
      update recipient set report_due_at = 0
        where state in ('failed', 'expired') and queue_id in (select queue_id from message where phase < 2);

      create table report (
        queue_id text primary key,
        about text not null,
        plan text not null,
        due_at integer not null,
        done_at integer
      ) strict, without rowid;
      create index report_about on report (about);
      create index report_waits on report (due_at) where done_at is null;
    `,
    postgres: `
      alter table recipient add column report text collate "C";
      alter table recipient add column delay_report text collate "C";
      alter table recipient add column report_due_at bigint;
      create index recipient_report_due on recipient (report_due_at) where report_due_at is not null;

      create table report (
        queue_id text collate "C" primary key,
        about text collate "C" not null,
        plan text collate "C" not null,
        due_at bigint not null,
        done_at bigint
      );
      create index report_about on report (about);
      create index report_waits on report (due_at) where done_at is null;
    `,
  },
  {
    name: '0003-queue-and-look-ups',
    async sqlite(transaction) {
      await transaction.exec(`
        alter table recipient add column site text;
        alter table recipient add column accepted_at integer;
        alter table recipient add column next_attempt_at integer;
        alter table recipient add column merged_into text;
        alter table message add column merges integer not null default 0;
        alter table message add column unread integer not null default 0;
        alter table message add column accepted_hour integer;
        alter table message add column message_id_hash integer;
        alter table message add column sender_hash integer;
        alter table original add column accepted_hour integer;
        alter table original add column address_hash integer;
        alter table original add column report text;
        alter table original add column report_due_at integer;

        create table history (
          queue_id text not null,
          n text not null,
          ended integer not null,
          incarnation integer not null,
          attempt integer not null,
          rank integer not null,
          at text not null,
          status text not null,
          primary key (queue_id, n, ended, incarnation, attempt, rank)
        ) strict, without rowid;

        create table later_report (
          queue_id text not null,
          n text not null,
          report text not null,
          at text not null,
          note text not null,
          primary key (queue_id, n, report)
        ) strict, without rowid;

        update recipient set merged_into = json_extract(listing, '$.final.destination.into')
          where json_extract(listing, '$.final.destination.kind') = 'merged';
        update message set merges = 1 where queue_id in (select queue_id from recipient where merged_into is not null);
        update recipient set
          site = json_extract(listing, '$.final.destination.site'),
          accepted_at = (
            select cast(round((julianday(json_extract(entry, '$.acceptedAt')) - 2440587.5) * 86400000) as integer)
            from message where message.queue_id = recipient.queue_id
          ),
          next_attempt_at = case state when 'deferred' then
            cast(round((julianday(json_extract(status, '$.nextAttemptAt')) - 2440587.5) * 86400000) as integer) end
          where open = 1 and json_extract(listing, '$.final.destination.kind') = 'remote';
      `)
      await fillLookUps(transaction as Transaction<LookUps>)
      await transaction.exec(`
        create index recipient_queue on recipient (accepted_at, queue_id, n) where accepted_at is not null;
        create index recipient_queue_by_site on recipient (site, accepted_at, queue_id, n, state, next_attempt_at)
          where accepted_at is not null;
        create index recipient_set_aside on recipient (accepted_at, queue_id, n)
          where accepted_at is not null and state in ('held', 'dead');
        create index recipient_copies on recipient (queue_id, merged_into) where merged_into is not null;
        create index message_unread on message (queue_id) where unread = 1;
        create index message_by_id on message (accepted_hour, message_id_hash) where message_id_hash is not null;
        create index message_by_sender on message (accepted_hour, sender_hash) where sender_hash is not null;
        create index original_by_address on original (accepted_hour, address_hash) where accepted_hour is not null;
        create index original_report_due on original (report_due_at) where report_due_at is not null;
      `)
    },
    postgres: `
      alter table recipient add column site text collate "C";
      alter table recipient add column accepted_at bigint;
      alter table recipient add column next_attempt_at bigint;
      alter table recipient add column merged_into text collate "C";
      alter table message add column merges integer not null default 0;
      alter table message add column unread integer not null default 0;
      alter table message add column accepted_hour bigint;
      alter table message add column message_id_hash bigint;
      alter table message add column sender_hash bigint;
      alter table original add column accepted_hour bigint;
      alter table original add column address_hash bigint;
      alter table original add column report text collate "C";
      alter table original add column report_due_at bigint;

      create table history (
        queue_id text collate "C" not null,
        n text collate "C" not null,
        ended integer not null,
        incarnation bigint not null,
        attempt bigint not null,
        rank integer not null,
        at text collate "C" not null,
        status text collate "C" not null,
        primary key (queue_id, n, ended, incarnation, attempt, rank)
      );

      create table later_report (
        queue_id text collate "C" not null,
        n text collate "C" not null,
        report text collate "C" not null,
        at text collate "C" not null,
        note text collate "C" not null,
        primary key (queue_id, n, report)
      );

      create index recipient_queue on recipient (accepted_at, queue_id, n) where accepted_at is not null;
      create index recipient_queue_by_site on recipient (site, accepted_at, queue_id, n, state, next_attempt_at)
        where accepted_at is not null;
      create index recipient_set_aside on recipient (accepted_at, queue_id, n)
        where accepted_at is not null and state in ('held', 'dead');
      create index recipient_copies on recipient (queue_id, merged_into) where merged_into is not null;
      create index message_unread on message (queue_id) where unread = 1;
      create index message_by_id on message (accepted_hour, message_id_hash, queue_id) where message_id_hash is not null;
      create index message_by_sender on message (accepted_hour, sender_hash, queue_id) where sender_hash is not null;
      create index original_by_address on original (accepted_hour, address_hash, queue_id) where accepted_hour is not null;
      create index original_report_due on original (report_due_at) where report_due_at is not null;
    `,
  },
  {
    name: '0004-streams',
    sqlite: `
      create table stream (
        name text primary key,
        created_at text not null,
        last_sequence integer not null
      ) strict, without rowid;
    `,
    postgres: `
      create table stream (
        name text collate "C" primary key,
        created_at text collate "C" not null,
        last_sequence bigint not null
      );
    `,
  },
  {
    name: '0005-balance',
    sqlite: `
      alter table original add column named integer not null default 0;
      update original set named = counted.named
        from (
          select queue_id, original, count(*) as named from recipient where original is not null group by queue_id, original
        ) as counted
        where counted.queue_id = original.queue_id and counted.original = original.original;
      update message set
        merges = (
          select count(*) from recipient where recipient.queue_id = message.queue_id and merged_into is not null
        )
        where merges > 0;
      create index message_balance on message (originals, merges, unrouted_due_at);
      create index original_balance on original (named, routed);
      create index recipient_balance on recipient (state, original, merged_into)
        where original is not null and merged_into is null;
    `,
    postgres: `
      alter table original add column named integer not null default 0;
      create index message_balance on message (originals, merges, unrouted_due_at);
      create index original_balance on original (named, routed);
      create index recipient_balance on recipient (state, original, merged_into)
        where original is not null and merged_into is null;
    `,
  },
]

/** The tables as step 3 knows them. */
interface LookUps {
  message: {
    queue_id: string
    entry: string | null
    accepted_hour: number | null
    message_id_hash: number | null
    sender_hash: number | null
  }
  original: {
    queue_id: string
    original: number
    recipient: string | null
    accepted_hour: number | null
    address_hash: number | null
  }
}

async function fillLookUps({ query }: Transaction<LookUps>): Promise<void> {
  const PAGE = 1000
  for (let after = '', more = true; more;) {
    const messages = await query
      .selectFrom('message')
      .select(['queue_id', 'entry'])
      .where('queue_id', '>', after)
      .orderBy('queue_id')
      .limit(PAGE)
      .execute()
    for (const { queue_id, entry } of messages) {
      after = queue_id
      if (entry === null) continue
      // Written by an earlier version from parsed values.
      const { acceptedAt, messageId, reversePath } = JSON.parse(entry) as MessageEntry
      const accepted_hour = hourOf(acceptedAt)
      await query
        .updateTable('message')
        .set({
          accepted_hour,
          message_id_hash: messageId === undefined ? null : hashOfMessageId(messageId),
          sender_hash: hashOfAddress(reversePath),
        })
        .where('queue_id', '=', queue_id)
        .execute()
      const originals = await query
        .selectFrom('original')
        .select(['original', 'recipient'])
        .where('queue_id', '=', queue_id)
        .execute()
      for (const { original, recipient } of originals) {
        if (recipient === null) continue
        const { forwardPath } = JSON.parse(recipient) as Recipient
        await query
          .updateTable('original')
          .set({ accepted_hour, address_hash: hashOfAddress(forwardPath) })
          .where('queue_id', '=', queue_id)
          .where('original', '=', original)
          .execute()
      }
    }
    more = messages.length === PAGE
  }
}
