/**
 * A program from a Debian package of suite `sid`, on Debian and its derivatives: apt with lists, cache and state of its own,
 * so that the system does not learn of it. The mirror and the signing key are the system's; apt checks the package by them.
 *
 * For programs that need no library of the newer suite, as those written in Go. Plain JavaScript: Node 18 and later.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const APT_TIMEOUT_MS = 300_000

/**
 * @param {string} name the package
 * @param {string} path the program's file in it
 * @returns {(work: string) => Promise<string>} a source of findProgram
 */
export function fromDebianSid(name, path) {
  return async (work) => {
    await unpack(name, work)
    const binary = join(work, basename(path))
    // A copy, so that what is renamed is a plain file whatever the package makes of it (a link, an alternative).
    await cp(join(work, 'root', path), binary, { dereference: true })
    return binary
  }
}

async function unpack(name, work) {
  const { uri, signedBy } = await debianMirror()
  for (const directory of ['lists/partial', 'cache/archives/partial', 'parts', 'root']) {
    await mkdir(join(work, directory), { recursive: true })
  }
  await writeFile(join(work, 'status'), '')
  await writeFile(join(work, 'sources.list'), `deb [signed-by=${signedBy}] ${uri} sid main\n`)
  const options = {
    'Dir::Etc::SourceList': join(work, 'sources.list'),
    'Dir::Etc::SourceParts': join(work, 'parts'),
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': join(work, 'parts'),
    'Dir::State': work,
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::Status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'APT::Sandbox::User': 'root', // Our directories are not apt's user's to write.
  }
  const apt = (...words) =>
    run('apt-get', ['-q', ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]), ...words], {
      cwd: work,
      timeout: APT_TIMEOUT_MS,
      env: { ...process.env, LC_ALL: 'C' },
    })
  await apt('update')
  await apt('download', name)
  const deb = (await readdir(work)).find((name) => name.endsWith('.deb'))
  if (!deb) throw new Error('apt-get download left no package')
  await run('dpkg', ['-x', deb, 'root'], { cwd: work })
}

/** The first Debian mirror in the system's sources, in either format of sources.list(5). */
async function debianMirror() {
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const files = ['/etc/apt/sources.list']
  for (const name of await readdir('/etc/apt/sources.list.d').catch(() => [])) {
    if (/\.(list|sources)$/.test(name)) files.push(join('/etc/apt/sources.list.d', name))
  }
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    for (const stanza of text.split(/\n\s*\n/)) {
      const lines = stanza.split('\n').filter((line) => !line.startsWith('#'))
      const field = (name) =>
        lines
          .find((line) => line.toLowerCase().startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim()
      const uri = field('uris')?.split(/\s+/)[0]
      if (uri && isDebian(uri)) {
        const signedBy = field('signed-by')
        return { uri, signedBy: signedBy?.startsWith('/') ? signedBy : keyring }
      }
      for (const line of lines) {
        const words = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)/.exec(line.trim())
        if (!words || !isDebian(words[2])) continue
        const signedBy = /signed-by=(\S+)/.exec(words[1] ?? '')?.[1]
        return { uri: words[2], signedBy: signedBy ?? keyring }
      }
    }
  }
  throw new Error('no Debian mirror in the sources of apt')
}

const isDebian = (uri) => /\/debian\/?$/.test(uri)
