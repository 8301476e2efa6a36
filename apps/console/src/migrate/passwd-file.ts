/** Dovecot's passwd-file, and passwd(5) and shadow(5), which look alike: `user:password:uid:gid:gecos:home:shell:extra fields`. */
import type { NewAccount } from './plan.ts'

export interface PasswdEntry extends Pick<NewAccount, 'passwordHash' | 'password' | 'quotaBytes' | 'name'> {
  user: string
  home?: string
  /** `mail_location` of this user, without `maildir:`. */
  maildir?: string
}

const UNITS: Readonly<Record<string, number>> = { '': 1024, B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

export function passwdEntries(lines: readonly string[]): PasswdEntry[] {
  return lines.flatMap((line) => {
    const [user = '', secret = '', , , gecos = '', home = '', , ...extra] = line.split(':')
    if (user === '') return []
    const fields = new Map(
      extra
        .join(':')
        .split(' ')
        .map((field) => [field.replace(/=.*$/s, ''), field.replace(/^[^=]*=/s, '')] as const),
    )
    const name = gecos.split(',')[0] ?? ''
    const location = /^maildir:([^:]+)/.exec(fields.get('userdb_mail') ?? '')?.[1]
    const quotaBytes = quotaOf(fields.get('userdb_quota_rule') ?? fields.get('userdb_quota_storage_size') ?? '')
    return [
      {
        user,
        ...secretOf(secret),
        ...(name !== '' && { name }),
        ...(home.startsWith('/') && { home }),
        ...(location !== undefined && { maildir: location.replace(/^~(?=\/)/, home) }),
        ...(quotaBytes !== undefined && { quotaBytes }),
      },
    ]
  })
}

/** A locked one is none. */
function secretOf(secret: string): Pick<NewAccount, 'passwordHash' | 'password'> {
  const password = /^\{(?:PLAIN|CLEAR|CLEARTEXT)\}(.+)$/is.exec(secret)?.[1]
  if (password !== undefined) return { password }
  return /^[!*x]?$|^[!*]/.test(secret) ? {} : { passwordHash: secret }
}

/** `*:storage=1G`, `*:bytes=1000`, `1G`. */
function quotaOf(rule: string): number | undefined {
  const [, storage, unit = '', octets] = /^(?:\*:)?(?:(?:storage=)?(\d+)([BKMGT]?)|bytes=(\d+))$/i.exec(rule) ?? []
  if (octets !== undefined) return Number(octets)
  return storage === undefined ? undefined : Number(storage) * (UNITS[unit.toUpperCase()] ?? 1)
}
