/** Postfix's main.cf — postconf(5): settings, and those they refer to. */

/** What holds where main.cf says nothing; only what is read here. */
const DEFAULTS: Readonly<Record<string, string>> = {
  mydestination: '$myhostname, localhost.$mydomain, localhost',
  myhostname: 'localhost',
  myorigin: '$myhostname',
  alias_maps: 'hash:/etc/aliases',
  virtual_alias_maps: '$virtual_maps',
  virtual_alias_domains: '$virtual_alias_maps',
  virtual_mailbox_domains: '$virtual_mailbox_maps',
}

/** Settings that refer to each other in a circle are cut off here. */
const MAX_DEPTH = 10

export class MainCf {
  readonly #values = new Map<string, string>()

  constructor(text: string) {
    for (const line of logicalLines(text)) {
      const [, name, value] = /^([A-Za-z0-9_]+)\s*=\s*(.*)$/s.exec(line) ?? []
      if (name !== undefined && value !== undefined) this.#values.set(name, value.trim())
    }
  }

  /** As written, with what it refers to; '' where it is nowhere. */
  get(name: string): string {
    return this.#expanded(this.#raw(name), 0)
  }

  /** The elements of a list, a type:{…} in one piece. */
  list(name: string): string[] {
    return this.get(name).match(/(?:[^\s,{]|\{(?:[^{}]|\{[^{}]*\})*\})+/g) ?? []
  }

  has(name: string): boolean {
    return (this.#values.get(name) ?? '') !== ''
  }

  #raw(name: string): string {
    const value = this.#values.get(name)
    if (value !== undefined) return value
    // The host name's, without its first label.
    if (name === 'mydomain') return this.#raw('myhostname').replace(/^[^.]+\./, '')
    return DEFAULTS[name] ?? ''
  }

  #expanded(value: string, depth: number): string {
    if (depth === MAX_DEPTH) return ''
    const inner = (name: string): string => this.#expanded(this.#raw(name), depth + 1)
    return value
      .replaceAll(/\$\{(\w+)\?(?:\{([^}]*)\}|([^}]*))\}/g, (_, name: string, then?: string, bare?: string) =>
        inner(name) === '' ? '' : (then ?? bare ?? ''),
      )
      .replaceAll(/\$(?:\{(\w+)\}|\((\w+)\)|(\w+))/g, (_, ...names: (string | undefined)[]) =>
        inner(names.slice(0, 3).find((name) => name !== undefined) ?? ''),
      )
  }
}

/** Lines that begin with white space go on with the one before; comments and empty ones in between do not end it. */
export function logicalLines(text: string): string[] {
  const lines: string[] = []
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(#|$)/.test(line)) continue
    if (/^\s/.test(line) && lines.length > 0) lines.push(`${lines.pop()} ${line.trim()}`)
    else lines.push(line.trim())
  }
  return lines
}
