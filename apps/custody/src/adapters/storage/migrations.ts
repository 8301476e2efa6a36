import type { Migration } from '@postbus/sql'

/**
 * `phase`: 0 open, 1 report due, 2 settled, 3 buried, 4 freed. Times are milliseconds. Every index serves one paged
 * question and holds only the rows that question is about, so that history costs nothing.
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
  },
]
