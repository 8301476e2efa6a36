/** The rows as they stand in migrations.ts. */
import type { Generated } from 'kysely'

/** As `scram_iterations`: there are no SCRAM keys. */
export const NO_SCRAM = 0

export type Tables = {
  domain: {
    id: Generated<number>
    domain: string
    kind: 'local' | 'alias' | 'rewrite'
    target: string | null
    subaddress_separator: string | null
    catch_all: string | null
    created_at: string
  }
  account: {
    id: Generated<number>
    account: string
    name: string
    enabled: number
    quota_bytes: number | null
    recipients_per_hour: number | null
    messages_per_hour: number | null
    credential_version: number
    created_at: string
  }
  credential: {
    account: string
    password_hash: string
    scram_salt: Uint8Array
    scram_iterations: number
    scram_stored_key: Uint8Array
    scram_server_key: Uint8Array
  }
  name: {
    domain: string
    local_part: string
    kind: 'account' | 'alias' | 'group' | 'list' | 'discard'
    account: string | null
    owner: string | null
    created_at: string
  }
  member: { domain: string; local_part: string; position: number; forward_path: string }
  sending: { account: string; minute: number; messages: number; recipients: number }
  signing_key: { kid: string; private_key: string; public_key: string; created_at: string }
  secret: { name: string; value: Uint8Array }
  dkim_key: {
    domain: string
    selector: string
    algorithm: 'rsa' | 'ed25519'
    bits: number
    state: 'prepared' | 'active' | 'retired'
    private_key: string
    public_key: string
    created_at: string
    activated_at: string | null
    retired_at: string | null
  }
  /** `sender` is '' for everybody's; `action` and `policy` are JSON, `action` without the password. */
  transport: {
    name: string
    domain: string
    sender: string
    action: string
    policy: string
    password: string | null
    created_at: string
  }
  revision: { value: number }
}
