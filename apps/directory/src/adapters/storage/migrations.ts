/** The directory's tables. `name` holds every address of ours once: an account and an alias can never share one. */
import type { Migration } from '@postbus/sql'

export const migrations: readonly Migration[] = [
  {
    name: '0001-directory',
    sqlite: `
      create table domain (
        id integer primary key autoincrement,
        domain text not null unique,
        kind text not null check (kind in ('local', 'alias', 'rewrite')),
        target text,
        subaddress_separator text,
        catch_all text,
        created_at text not null
      ) strict;

      create table account (
        id integer primary key autoincrement,
        account text not null unique,
        name text not null,
        enabled integer not null,
        quota_bytes integer,
        recipients_per_hour integer,
        messages_per_hour integer,
        credential_version integer not null,
        created_at text not null
      ) strict;

      create table credential (
        account text primary key references account (account) on delete cascade,
        password_hash text not null,
        scram_salt blob not null,
        scram_iterations integer not null,
        scram_stored_key blob not null,
        scram_server_key blob not null
      ) strict, without rowid;

      create table name (
        domain text not null references domain (domain),
        local_part text not null,
        kind text not null check (kind in ('account', 'alias', 'group', 'list', 'discard')),
        account text unique references account (account) on delete cascade,
        owner text,
        created_at text not null,
        primary key (domain, local_part),
        check ((kind = 'account') = (account is not null))
      ) strict, without rowid;

      create table member (
        domain text not null,
        local_part text not null,
        position integer not null,
        forward_path text not null,
        primary key (domain, local_part, position),
        foreign key (domain, local_part) references name (domain, local_part) on delete cascade
      ) strict, without rowid;

      create table sending (
        account text not null,
        minute integer not null,
        messages integer not null,
        recipients integer not null,
        primary key (account, minute)
      ) strict, without rowid;

      create table signing_key (
        kid text primary key,
        private_key text not null,
        public_key text not null,
        created_at text not null
      ) strict, without rowid;

      create table revision (value integer not null) strict;
      insert into revision (value) values (1);`,
    postgres: `
      create table domain (
        id bigint generated always as identity primary key,
        domain text collate "C" not null unique,
        kind text collate "C" not null check (kind in ('local', 'alias', 'rewrite')),
        target text collate "C",
        subaddress_separator text collate "C",
        catch_all text collate "C",
        created_at text collate "C" not null
      );

      create table account (
        id bigint generated always as identity primary key,
        account text collate "C" not null unique,
        name text collate "C" not null,
        enabled integer not null,
        quota_bytes bigint,
        recipients_per_hour bigint,
        messages_per_hour bigint,
        credential_version integer not null,
        created_at text collate "C" not null
      );

      create table credential (
        account text collate "C" primary key references account (account) on delete cascade,
        password_hash text collate "C" not null,
        scram_salt bytea not null,
        scram_iterations integer not null,
        scram_stored_key bytea not null,
        scram_server_key bytea not null
      );

      create table name (
        domain text collate "C" not null references domain (domain),
        local_part text collate "C" not null,
        kind text collate "C" not null check (kind in ('account', 'alias', 'group', 'list', 'discard')),
        account text collate "C" unique references account (account) on delete cascade,
        owner text collate "C",
        created_at text collate "C" not null,
        primary key (domain, local_part),
        check ((kind = 'account') = (account is not null))
      );

      create table member (
        domain text collate "C" not null,
        local_part text collate "C" not null,
        position integer not null,
        forward_path text collate "C" not null,
        primary key (domain, local_part, position),
        foreign key (domain, local_part) references name (domain, local_part) on delete cascade
      );

      create table sending (
        account text collate "C" not null,
        minute bigint not null,
        messages bigint not null,
        recipients bigint not null,
        primary key (account, minute)
      );

      create table signing_key (
        kid text collate "C" primary key,
        private_key text collate "C" not null,
        public_key text collate "C" not null,
        created_at text collate "C" not null
      );

      create table revision (value bigint not null);
      insert into revision (value) values (1);`,
  },
  {
    name: '0002-dkim-key',
    // One active key per algorithm: a message is signed at most once with each.
    sqlite: `
      create table dkim_key (
        domain text not null references domain (domain) on delete cascade,
        selector text not null,
        algorithm text not null check (algorithm in ('rsa', 'ed25519')),
        bits integer not null,
        state text not null check (state in ('prepared', 'active', 'retired')),
        private_key text not null,
        public_key text not null,
        created_at text not null,
        activated_at text,
        retired_at text,
        primary key (domain, selector)
      ) strict, without rowid;
      create unique index dkim_key_active on dkim_key (domain, algorithm) where state = 'active';`,
    postgres: `
      create table dkim_key (
        domain text collate "C" not null references domain (domain) on delete cascade,
        selector text collate "C" not null,
        algorithm text collate "C" not null check (algorithm in ('rsa', 'ed25519')),
        bits bigint not null,
        state text collate "C" not null check (state in ('prepared', 'active', 'retired')),
        private_key text collate "C" not null,
        public_key text collate "C" not null,
        created_at text collate "C" not null,
        activated_at text collate "C",
        retired_at text collate "C",
        primary key (domain, selector)
      );
      create unique index dkim_key_active on dkim_key (domain, algorithm) where state = 'active';`,
  },
  {
    name: '0003-transport',
    sqlite: `
      create table transport (
        name text primary key,
        domain text not null,
        sender text not null,
        action text not null,
        policy text not null,
        password text,
        created_at text not null,
        unique (domain, sender)
      ) strict, without rowid;`,
    postgres: `
      create table transport (
        name text collate "C" primary key,
        domain text collate "C" not null,
        sender text collate "C" not null,
        action text collate "C" not null,
        policy text collate "C" not null,
        password text collate "C",
        created_at text collate "C" not null,
        unique (domain, sender)
      );`,
  },
  {
    name: '0004-secret',
    sqlite: `
      create table secret (
        name text primary key,
        value blob not null
      ) strict, without rowid;`,
    postgres: `
      create table secret (
        name text collate "C" primary key,
        value bytea not null
      );`,
  },
]
