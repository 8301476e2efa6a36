/** postbus backup, postbus restore: a whole embedded profile, taken while it runs, put back where none does. */
import { resolve } from 'node:path'

import { StorageFull } from '@postbus/sql'

import { BackupDamaged } from '../../backup/manifest.ts'
import { DirectoryNotEmpty, restoreBackup } from '../../backup/restore-backup.ts'
import { BackupImpossible, takeBackup } from '../../backup/take-backup.ts'
import { verifyBackup } from '../../backup/verify-backup.ts'
import { type LocalCommand, take, textOption } from '../command.ts'
import { dataDirectory } from '../connect.ts'
import { bytes, facts } from '../table.ts'

const MAX_SHOWN = 20

const refusals = [BackupDamaged, BackupImpossible, DirectoryNotEmpty, StorageFull]

export const backupCommand: LocalCommand = {
  name: 'backup',
  refusals,
  takes: '<dir>',
  summary: 'copy everything that must not be lost into a new directory, while the platform runs',
  details:
    'For an embedded profile. The queues of the bus are not copied: they are made again from spool and books. On the same file\nsystem large messages are linked, not copied; copy the finished backup to another machine.',
  options: { verify: { type: 'boolean', help: 'only read a backup again, all of it; nothing is copied' } },
  async runLocally({ args, options, progress }) {
    const dir = resolve(take(args, '<dir>')[0])
    if (options['verify'] !== true) {
      const value = await takeBackup({ data: dataDirectory(textOption(options, 'data')), to: dir, progress })
      return { value, text: summary(dir, value) }
    }
    const value = await verifyBackup(dir)
    const { problems } = value
    const shown = problems.slice(0, MAX_SHOWN).join('\n')
    const more = problems.length > MAX_SHOWN ? `\nand ${problems.length - MAX_SHOWN} more` : ''
    const verdict = problems.length === 0 ? 'as it was written' : `damaged:\n${shown}${more}`
    return { value, text: `${summary(dir, value)}\n\n${verdict}`, incomplete: problems.length > 0 }
  },
}

export const restoreCommand: LocalCommand = {
  name: 'restore',
  refusals,
  takes: '<dir>',
  summary: 'put a backup back as the data directory of a platform that does not run',
  details:
    'Every file is verified while it is copied. What was accepted before the backup is then in a mailbox or goes on its way at the\nnext start; what went out to other sites after the backup was taken may go out once more.',
  options: { force: { type: 'boolean', help: 'put aside what is in the data directory now' } },
  async runLocally({ args, options }) {
    const backup = resolve(take(args, '<dir>')[0])
    const data = dataDirectory(textOption(options, 'data'))
    const value = await restoreBackup({ backup, data, force: options['force'] === true })
    const aside = value.putAside === null ? '' : `\nWhat was there is in ${value.putAside} now.`
    return { value: { ...value, data }, text: `${summary(data, value)}${aside}` }
  },
}

const summary = (
  dir: string,
  { begunAt, finishedAt, files, bytes: octets }: { begunAt: string; finishedAt: string; files: number; bytes: number },
): string => facts({ directory: dir, begun: begunAt, finished: finishedAt, files, size: bytes(octets) })
