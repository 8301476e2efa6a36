/**
 * The programs that scenarios drive the platform with. On Debian, as root, what is missing is installed; elsewhere it is
 * named, and the scenarios that need it say so by failing.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Command and the Debian package that brings it. */
const programs: Record<string, string> = {
  cc: 'gcc',
  curl: 'curl',
  dkimverify: 'python3-dkim',
  faketime: 'faketime',
  fetchmail: 'fetchmail',
  getmail: 'getmail6',
  knotd: 'knot',
  mbsync: 'isync',
  mutt: 'mutt',
  offlineimap: 'offlineimap3',
  opendkim: 'opendkim',
  openssl: 'openssl',
  pg_ctlcluster: 'postgresql',
  postfix: 'postfix',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  python3: 'python3',
  script: 'bsdutils',
  strace: 'strace',
  swaks: 'swaks',
  unbound: 'unbound',
}

/**
 * File and the Debian package that brings it: what recording-fs.c of the testkit is built against, Dovecot's IMAP, and an S3 server.
 */
const files: Record<string, string> = {
  '/usr/lib/dovecot/imap': 'dovecot-imapd',
  '/usr/include/fuse3/fuse_lowlevel.h': 'libfuse3-dev',
  '/usr/include/stdio.h': 'libc6-dev',
  '/usr/lib/python3/dist-packages/swift/__init__.py': 'python3-swift',
}

/** Debian packages with the Perl modules swaks needs for TLS and AUTH, and the Python module dkimpy needs for Ed25519. */
const modules = ['libnet-ssleay-perl', 'libauthen-sasl-perl', 'python3-nacl']

export function installPrerequisites(): void {
  const missing = [
    ...Object.entries(programs).filter(([command]) => !onPath(command)),
    ...Object.entries(files).filter(([file]) => !existsSync(file)),
  ]
  if (missing.length === 0) return
  const packages = [...missing.map(([, name]) => name), ...modules]
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    process.stdout.write(`missing for the scenarios: ${packages.join(' ')}\n`)
    return
  }
  process.stdout.write(`installing ${packages.join(' ')} …\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env })
  withoutDaemons(() => {
    apt('update')
    apt('install', '-y', '--no-install-recommends', ...packages)
  })
}

/** Debian starts what it installs, unless this file says no. The scenarios start what they need by themselves. */
const POLICY = '/usr/sbin/policy-rc.d'

function withoutDaemons(install: () => void): void {
  if (existsSync(POLICY)) return install()
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    install()
  } finally {
    rmSync(POLICY)
  }
}

function onPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
