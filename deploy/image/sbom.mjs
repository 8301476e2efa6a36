/**
 * What is in the image, as CycloneDX on standard output: npm's list of what runs, Node, and the packages of the base.
 *
 *   node deploy/image/sbom.mjs [directory of the unpacked image]
 *
 * Without the directory the base is left out: it is then whatever BASE of the Dockerfile was. Plain JavaScript: Node 18 and later.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const MAX_BYTES = 64 * 1024 ** 2
const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', '..')

const bill = JSON.parse(
  execFileSync(
    'npm',
    [
      'sbom',
      '--package-lock-only',
      '--omit=dev',
      '--omit=optional',
      '--sbom-format=cyclonedx',
      '--sbom-type=application',
    ],
    { cwd: root, maxBuffer: MAX_BYTES },
  ),
)

const node = readFileSync(join(root, '.node-version'), 'utf8').trim()
bill.components.push({
  type: 'platform',
  'bom-ref': `pkg:generic/node@${node}`,
  name: 'node',
  version: node,
  purl: `pkg:generic/node@${node}`,
})

const image = process.argv[2]
const status = image && join(image, 'var/lib/dpkg/status.d')
for (const file of status && existsSync(status) ? readdirSync(status).sort() : []) {
  const fields = Object.fromEntries(
    readFileSync(join(status, file), 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, name, value] = /^([A-Z][\w-]*): (.*)$/.exec(line) ?? []
        return name ? [[name, value]] : []
      }),
  )
  if (!fields.Package || !fields.Version) continue
  const purl = `pkg:deb/debian/${fields.Package}@${encodeURIComponent(fields.Version)}?arch=${fields.Architecture}`
  bill.components.push({ type: 'library', 'bom-ref': purl, name: fields.Package, version: fields.Version, purl })
}

process.stdout.write(`${JSON.stringify(bill, null, 2)}\n`)
