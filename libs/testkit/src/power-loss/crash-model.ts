/**
 * What a machine could show if it lost power after the k-th operation of a log: everything that was flushed by then, and of the
 * rest some of it, drawn from a seed.
 *
 * The failure model, which is no kinder than POSIX and no crueller than file systems that are kept (ext4, XFS, btrfs):
 * - fsync and fdatasync of a file make its bytes and its size durable, not its name. Bytes and sizes before that: see
 *   file-content.ts.
 * - fsync of a directory makes the names in it durable, and a rename into or out of it as a whole. Names that were not flushed
 *   may be there or not, in any combination in which each name shows one moment and a rename happened on both its sides or on
 *   neither. An undone rename shows the old file under the new name, an undone unlink the file as it was.
 * - a directory whose own name is lost takes everything in it along, flushed or not. (ext4 flushes the names above as well;
 *   POSIX does not promise it.) Only renames bring the directories they lead to with them: nobody loses a file by moving it.
 * - modes are those of last; times and owners are not modelled. Disks that lie about flushes are out of scope.
 */
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { between, type Draw } from '../seeded.ts'
import { type Fate, FileContent, type SectorBytes } from './file-content.ts'
import type { Entry } from './operation-log.ts'

interface FileNode {
  kind: 'file'
  mode: number
  content: FileContent
}
interface Symlink {
  kind: 'symlink'
  target: string
}
interface Directory {
  kind: 'directory'
  mode: number
  /** As programs see it. */
  names: Map<string, Node>
  durable: Map<string, Node>
}
type Node = FileNode | Symlink | Directory

/** One name that an operation changed: to a node, or to nothing. */
interface Naming {
  directory: Directory
  name: string
  node: Node | null
}
/** What happens as a whole or not at all. */
interface Operation {
  namings: Naming[]
  /** A rename's new directory, which happens before it. */
  into: Directory | null
}

/** How much of what was not flushed is there. */
type Style = 'nothing' | 'everything' | 'mixed'

export class CrashModel {
  readonly #nodes = new Map<number, Node>()
  #root: Directory = directory(0o755)
  #pending: Operation[] = []
  #operations = 0
  #flushes = 0

  get operations(): number {
    return this.#operations
  }

  get flushes(): number {
    return this.#flushes
  }

  apply(entry: Entry): void {
    this.#operations++
    switch (entry.kind) {
      case 'root':
        this.#nodes.set(entry.inode, this.#root)
        return
      case 'create':
        return this.#make(entry, { kind: 'file', mode: entry.mode, content: new FileContent() })
      case 'mkdir':
        return this.#make(entry, directory(entry.mode))
      case 'symlink':
        return this.#make(entry, { kind: 'symlink', target: entry.target })
      case 'link':
        return this.#name([{ ...this.#place(entry), node: this.#node(entry.inode) }])
      case 'unlink':
      case 'rmdir':
        return this.#name([{ ...this.#place(entry), node: null }])
      case 'rename': {
        const from = this.#place(entry)
        const to = this.#place({ directory: entry.newDirectory, name: entry.newName })
        const moved = from.directory.names.get(from.name)
        if (moved === undefined) throw new Error(`${from.name} is renamed and not there`)
        return this.#name(
          [
            { ...from, node: null },
            { ...to, node: moved },
          ],
          to.directory,
        )
      }
      case 'write':
        return this.#file(entry.inode).content.write(entry.offset, entry.data, entry.synchronous)
      case 'truncate':
        return this.#file(entry.inode).content.truncate(entry.size)
      case 'allocate':
        return this.#file(entry.inode).content.allocate(entry.size)
      case 'chmod': {
        const node = this.#node(entry.inode)
        if (node.kind !== 'symlink') node.mode = entry.mode
        return
      }
      case 'fsync':
        this.#flushes++
        return this.#file(entry.inode).content.sync()
      case 'fsyncdir':
        this.#flushes++
        return this.#syncDirectory(this.#directory(entry.inode))
    }
  }

  /**
   * Writes one of the trees that could be found after a loss of power now; nothing of the model changes.
   * @param to an empty directory
   */
  materialise(to: string, draw: Draw): void {
    const style = styleOf(draw)
    const sectorBytes: SectorBytes = draw() < 0.5 ? 512 : 4096
    const names = this.#namesAfterLoss(style, draw)
    const written = new Map<Node, string>()
    const write = (node: Directory, path: string): void => {
      for (const [name, child] of names(node)) {
        const at = join(path, name)
        const first = written.get(child)
        if (first !== undefined) {
          linkSync(first, at)
          continue
        }
        written.set(child, at)
        if (child.kind === 'symlink') symlinkSync(child.target, at)
        else if (child.kind === 'file') {
          writeFileSync(at, child.content.afterLoss(fateOf(style, draw), sectorBytes, draw), { mode: child.mode })
        } else {
          mkdirSync(at, { mode: child.mode })
          write(child, at)
        }
      }
    }
    write(this.#root, to)
  }

  #make(entry: { directory: number; name: string; inode: number }, node: Node): void {
    this.#nodes.set(entry.inode, node)
    this.#name([{ ...this.#place(entry), node }])
  }

  #name(namings: Naming[], into: Directory | null = null): void {
    for (const naming of namings) show(naming.directory.names, naming)
    this.#pending.push({ namings, into })
  }

  /** Its names, and whatever had to happen before them. */
  #syncDirectory(synced: Directory): void {
    const must = this.#withCauses(({ namings }) => namings.some(({ directory }) => directory === synced))
    for (const operation of this.#pending) {
      if (must.has(operation)) for (const naming of operation.namings) show(naming.directory.durable, naming)
    }
    this.#pending = this.#pending.filter((operation) => !must.has(operation))
  }

  /** The chosen operations, with earlier ones of the same names and those that made the directories renames lead to. */
  #withCauses(chosen: (operation: Operation, index: number) => boolean): Set<Operation> {
    const must = new Set<Operation>()
    const names = new Slots()
    const directories = new Set<Node>()
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      const operation = this.#pending[index]
      if (operation === undefined) continue
      const leadsThere = operation.namings.filter(({ node }) => node !== null && directories.has(node))
      const isCause = leadsThere.length > 0 || operation.namings.some((naming) => names.has(naming))
      if (!isCause && !chosen(operation, index)) continue
      must.add(operation)
      for (const naming of operation.namings) names.add(naming)
      for (const { directory } of leadsThere) directories.add(directory)
      if (operation.into !== null) directories.add(operation.into)
    }
    return must
  }

  /** What each directory lists after the loss. */
  #namesAfterLoss(style: Style, draw: Draw): (node: Directory) => ReadonlyMap<string, Node> {
    if (style === 'everything') return ({ names }) => names
    if (style === 'nothing') return ({ durable }) => durable
    const inOrder = draw() < 0.5
    const count = between(draw, 0, this.#pending.length)
    const share = draw()
    const happened = this.#withCauses((_, index) => (inOrder ? index < count : draw() < share))
    const changed = new Map<Directory, Map<string, Node>>()
    for (const operation of this.#pending) {
      if (!happened.has(operation)) continue
      for (const naming of operation.namings) {
        const names = changed.get(naming.directory) ?? new Map(naming.directory.durable)
        changed.set(naming.directory, names)
        show(names, naming)
      }
    }
    return (node) => changed.get(node) ?? node.durable
  }

  #place({ directory, name }: { directory: number; name: string }): Omit<Naming, 'node'> {
    return { directory: this.#directory(directory), name }
  }

  #node(inode: number): Node {
    const node = this.#nodes.get(inode)
    if (node === undefined) throw new Error(`no inode ${inode}`)
    return node
  }

  #directory(inode: number): Directory {
    const node = this.#node(inode)
    if (node.kind !== 'directory') throw new Error(`inode ${inode} is a ${node.kind}`)
    return node
  }

  #file(inode: number): FileNode {
    const node = this.#node(inode)
    if (node.kind !== 'file') throw new Error(`inode ${inode} is a ${node.kind}`)
    return node
  }
}

function directory(mode: number): Directory {
  return { kind: 'directory', mode, names: new Map(), durable: new Map() }
}

function show(names: Map<string, Node>, { name, node }: Naming): void {
  if (node === null) names.delete(name)
  else names.set(name, node)
}

function styleOf(draw: Draw): Style {
  const style = draw()
  if (style < 0.25) return 'nothing'
  return style < 0.35 ? 'everything' : 'mixed'
}

function fateOf(style: Style, draw: Draw): Fate {
  if (style === 'nothing') return 'none'
  if (style === 'everything') return 'all'
  return (['none', 'all', 'prefix', 'sectors', 'sectors'] as const)[between(draw, 0, 4)] ?? 'sectors'
}

/** Names in directories. */
class Slots {
  readonly #names = new Map<Directory, Set<string>>()

  has({ directory, name }: Naming): boolean {
    return this.#names.get(directory)?.has(name) ?? false
  }

  add({ directory, name }: Naming): void {
    const names = this.#names.get(directory) ?? new Set()
    this.#names.set(directory, names)
    names.add(name)
  }
}
