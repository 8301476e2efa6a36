/**
 * docs/standards.md and the code agree: every RFC the code cites has a row, every row that claims something names a
 * place that exists.
 */
import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { root } from './run.ts'

/** `| 2045, 2046 MIME | yes | libs/message, apps/imap | notes |` */
const ROW = /^\| *((?:\d+(?:, )?)+)[^|]*\| *(yes|partial|planned|no) *\| *([^|]*)\|/gm

export async function checkStandards(): Promise<boolean> {
  const table = await readFile(join(root, 'docs/standards.md'), 'utf8')
  const rows = [...table.matchAll(ROW)].map(([, rfcs = '', status, where = '']) => ({
    rfcs: rfcs.split(', ').map(Number),
    status,
    where: where.split(',').map((path) => path.trim()),
  }))
  const complaints = rows
    .filter(({ status }) => status === 'yes' || status === 'partial')
    .flatMap(({ rfcs, where }) =>
      where
        .filter((path) => path === '' || !existsSync(join(root, path)))
        .map((path) => `RFC ${rfcs.join(', ')}: no such place ${path}`),
    )
  const known = new Set(rows.flatMap(({ rfcs }) => rfcs))
  for await (const file of glob('{apps,libs}/*/{src,test}/**/*.ts', { cwd: root })) {
    const source = await readFile(join(root, file), 'utf8')
    for (const [, rfc] of source.matchAll(/\bRFC (\d{3,5})\b/g)) {
      if (known.has(Number(rfc))) continue
      known.add(Number(rfc))
      complaints.push(`RFC ${rfc} is cited in ${file} and has no row in docs/standards.md`)
    }
  }
  for (const complaint of complaints) process.stdout.write(`${complaint}\n`)
  process.stdout.write(`${new Set(rows.flatMap(({ rfcs }) => rfcs)).size} RFCs in the table\n`)
  return complaints.length === 0
}
