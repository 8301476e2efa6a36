import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { seeded } from '../seeded.ts'
import { CrashModel } from './crash-model.ts'
import { FileContent } from './file-content.ts'
import type { Entry } from './operation-log.ts'

const DRAWS = 300
const ROOT = 1

/** A model in which inodes are named by numbers and everything begins with an empty root. */
function modelOf(...entries: Entry[]): CrashModel {
  const model = new CrashModel()
  for (const entry of [{ kind: 'root', inode: ROOT } as const, ...entries]) model.apply(entry)
  return model
}

const create = (inode: number, name: string, directory = ROOT): Entry => ({
  kind: 'create',
  directory,
  name,
  inode,
  mode: 0o600,
})
const mkdir = (inode: number, name: string, directory = ROOT): Entry => ({
  kind: 'mkdir',
  directory,
  name,
  inode,
  mode: 0o755,
})
const write = (inode: number, text: string, offset = 0): Entry => ({
  kind: 'write',
  inode,
  offset,
  data: Buffer.from(text),
  synchronous: false,
})
const fsync = (inode: number): Entry => ({ kind: 'fsync', inode })
const fsyncdir = (inode = ROOT): Entry => ({ kind: 'fsyncdir', inode })
const rename = (name: string, newName: string, directory = ROOT, newDirectory = ROOT): Entry => ({
  kind: 'rename',
  directory,
  name,
  newDirectory,
  newName,
})
const unlink = (name: string): Entry => ({ kind: 'unlink', directory: ROOT, name })

/** Every tree seen in many draws, each as `path=content …`. */
async function outcomes(t: TestContext, model: CrashModel): Promise<Set<string>> {
  const dir = await mkdtemp(join(tmpdir(), 'power-loss-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const seen = new Set<string>()
  for (let seed = 0; seed < DRAWS; seed++) {
    const to = await mkdtemp(join(dir, 'tree-'))
    model.materialise(to, seeded(seed))
    seen.add(describe(to))
  }
  return seen
}

function describe(dir: string): string {
  const lines = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) =>
      statSync(join(dir, name)).isDirectory() ? `${name}/` : `${name}=${readFileSync(join(dir, name), 'latin1')}`,
    )
  return lines.join(' ').replaceAll('\0', '.')
}

const exactly = (...trees: string[]): Set<string> => new Set(trees)

test('what was flushed, bytes and name, is always there', async (t) => {
  const model = modelOf(create(2, 'a'), write(2, 'one'), fsync(2), fsyncdir())
  assert.deepEqual(await outcomes(t, model), exactly('a=one'))
})

test('bytes without a flush may be there, or not, or be zeros', async (t) => {
  const model = modelOf(create(2, 'a'), fsyncdir(), write(2, 'one'))
  assert.deepEqual(await outcomes(t, model), exactly('a=one', 'a=', 'a=...'))
})

test('a flushed file whose name was not flushed may be lost', async (t) => {
  const model = modelOf(create(2, 'a'), write(2, 'one'), fsync(2))
  assert.deepEqual(await outcomes(t, model), exactly('', 'a=one'))
})

test('names in a directory whose own name was not flushed may be lost with it', async (t) => {
  const model = modelOf(mkdir(2, 'd'), create(3, 'a', 2), write(3, 'one'), fsync(3), fsyncdir(2))
  assert.deepEqual(await outcomes(t, model), exactly('', 'd/ d/a=one'))
})

test('a rename happened on both sides or on neither', async (t) => {
  const before = [create(2, 'a'), write(2, 'one'), fsync(2), create(3, 'b'), write(3, 'two'), fsync(3), fsyncdir()]
  assert.deepEqual(await outcomes(t, modelOf(...before, rename('a', 'b'))), exactly('a=one b=two', 'b=one'))
  assert.deepEqual(await outcomes(t, modelOf(...before, rename('a', 'b'), fsyncdir())), exactly('b=one'))
})

test('a rename between directories is flushed with either, and no file is lost by it', async (t) => {
  const before = [create(2, 'a'), write(2, 'one'), fsync(2), fsyncdir(), mkdir(3, 'd'), rename('a', 'b', ROOT, 3)]
  assert.deepEqual(await outcomes(t, modelOf(...before)), exactly('a=one', 'a=one d/', 'd/ d/b=one'))
  assert.deepEqual(await outcomes(t, modelOf(...before, fsyncdir(3))), exactly('d/ d/b=one'))
})

test('an unlink without a flush may be undone', async (t) => {
  const model = modelOf(create(2, 'a'), write(2, 'one'), fsync(2), fsyncdir(), unlink('a'))
  assert.deepEqual(await outcomes(t, model), exactly('', 'a=one'))
})

test('a second file of a name shows nothing of the first', async (t) => {
  const entries = [create(2, 'a'), write(2, 'one'), fsync(2), fsyncdir(), unlink('a'), create(2, 'a'), fsyncdir()]
  assert.deepEqual(await outcomes(t, modelOf(...entries)), exactly('a='))
})

test('two names of one file are one file', async (t) => {
  const link: Entry = { kind: 'link', directory: ROOT, name: 'b', inode: 2 }
  const model = modelOf(create(2, 'a'), link, fsyncdir(), write(2, 'one'))
  assert.deepEqual(await outcomes(t, model), exactly('a=one b=one', 'a= b=', 'a=... b=...'))
})

test('later names do not come without the earlier ones they stand on', async (t) => {
  const model = modelOf(create(2, 'a'), rename('a', 'b'), rename('b', 'c'))
  assert.deepEqual(await outcomes(t, model), exactly('', 'a=', 'b=', 'c='))
})

const fates = ['none', 'all', 'prefix', 'sectors'] as const

function contents(content: FileContent, sectorBytes: 512 | 4096 = 512): Set<string> {
  const seen = new Set<string>()
  for (const fate of fates) {
    for (let seed = 0; seed < DRAWS; seed++) {
      const bytes = content.afterLoss(fate, sectorBytes, seeded(seed))
      seen.add(
        Buffer.from(bytes)
          .toString('latin1')
          .replaceAll('\0', '.')
          .replaceAll(/(.)\1{99,}/g, '$1'),
      )
    }
  }
  return seen
}

test('a write is torn at sectors and nowhere else', () => {
  const content = new FileContent()
  content.write(0, Buffer.from('a'.repeat(1024)))
  content.sync()
  content.write(0, Buffer.from('b'.repeat(1024)))
  const runs = (text: string): string => text.replaceAll(/(.)\1+/g, '$1')
  const torn = new Set(
    Array.from({ length: DRAWS }, (_, seed) => content.afterLoss('sectors', 512, seeded(seed))).map((bytes) =>
      runs(Buffer.from(bytes).toString('latin1')),
    ),
  )
  assert.deepEqual(torn, exactly('a', 'b', 'ab', 'ba'))
})

test('a sector never shows a later write without the earlier ones', () => {
  const content = new FileContent()
  content.write(0, Buffer.from('--'))
  content.sync()
  content.write(0, Buffer.from('1'))
  content.write(1, Buffer.from('2'))
  assert.deepEqual(contents(content), exactly('--', '1-', '12'))
})

test('nothing written after a truncation is there without it', () => {
  const content = new FileContent()
  content.write(0, Buffer.from('old'))
  content.sync()
  content.truncate(0)
  content.write(0, Buffer.from('n'))
  assert.deepEqual(contents(content), exactly('old', '', 'n', '.'))
})

test('a synchronous write is there, whatever else is not', () => {
  const content = new FileContent()
  content.write(0, Buffer.from('x'.repeat(512)))
  content.sync()
  content.write(0, Buffer.from('y'.repeat(512)))
  content.write(512, Buffer.from('sync'), true)
  assert.deepEqual(contents(content), exactly('xsync', 'ysync'))
})

test('the same seed gives the same tree', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'power-loss-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const model = modelOf(create(2, 'a'), write(2, 'one'), create(3, 'b'), write(3, 'two'), fsync(2), rename('b', 'c'))
  for (let seed = 0; seed < 20; seed++) {
    const trees = [await mkdtemp(join(dir, 'a-')), await mkdtemp(join(dir, 'b-'))]
    for (const tree of trees) model.materialise(tree, seeded(seed))
    assert.equal(...(trees.map(describe) as [string, string]))
  }
})
