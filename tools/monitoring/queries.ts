/** PromQL read with Prometheus' own grammar, and held against the metrics that exist. */
import { parser } from '@prometheus-io/lezer-promql'

type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

/** What a query may speak of. */
export interface Vocabulary {
  /** Labels of a series and the values they can have (null: not known beforehand); undefined: there is no such series. */
  labelsOf(series: string): ReadonlyMap<string, ReadonlySet<string> | null> | undefined
}

/** What is wrong with a query, in words; none: nothing. */
export function problemsOf(query: string, vocabulary: Vocabulary): string[] {
  const { topNode } = parser.parse(query)
  const wrong = first(topNode, ({ type }) => type.isError)
  if (wrong) return [`cannot be read at ${wrong.from}: ${query.slice(wrong.from, wrong.from + 20)}`]
  const text = ({ from, to }: SyntaxNode): string => query.slice(from, to)
  return all(topNode).flatMap((node) => {
    if (node.name === 'VectorSelector') return selectorProblems(node, text, vocabulary)
    if (node.name === 'GroupingLabels') return groupingProblems(node, text, vocabulary)
    return []
  })
}

/** The series a query reads. */
export function seriesIn(query: string): string[] {
  return all(parser.parse(query).topNode)
    .filter(({ name }) => name === 'VectorSelector')
    .map((node) => node.getChild('Identifier'))
    .filter((node) => node !== null)
    .map(({ from, to }) => query.slice(from, to))
}

type Text = (node: SyntaxNode) => string

function selectorProblems(node: SyntaxNode, text: Text, vocabulary: Vocabulary): string[] {
  const identifier = node.getChild('Identifier')
  if (identifier === null) return [`a metric without a name: ${text(node)}`]
  const series = text(identifier)
  const labels = vocabulary.labelsOf(series)
  if (labels === undefined) return [`no metric ${series}`]
  return all(node)
    .filter(({ name }) => name === 'UnquotedLabelMatcher')
    .flatMap((matcher) => {
      const [label, operator, literal] = ['LabelName', 'MatchOp', 'StringLiteral'].map((name) => {
        const part = matcher.getChild(name)
        return part === null ? '' : text(part)
      })
      const known = labels.get(label ?? '')
      if (known === undefined) return [`${series} has no label ${label}`]
      if (known === null) return []
      const value = JSON.parse(literal ?? '""') as string // A string literal in double quotes is JSON's.
      const matches = operator?.endsWith('~') ? new RegExp(`^(?:${value})$`) : { test: (one: string) => one === value }
      return [...known].some((one) => matches.test(one)) ? [] : [`${label} of ${series} is never ${value}`]
    })
}

/** Labels of `by` and `on` must come from what they are about; those of label_replace are made there. */
function groupingProblems(node: SyntaxNode, text: Text, vocabulary: Vocabulary): string[] {
  const about = node.parent?.parent
  if (!about) return []
  const within = all(about)
  const made = within.filter(({ name }) => name === 'StringLiteral').map((literal) => text(literal).slice(1, -1))
  const known = new Set(made)
  for (const selector of within.filter(({ name }) => name === 'VectorSelector')) {
    const identifier = selector.getChild('Identifier')
    for (const label of vocabulary.labelsOf(identifier ? text(identifier) : '')?.keys() ?? []) known.add(label)
  }
  return node
    .getChildren('LabelName')
    .map(text)
    .filter((label) => !known.has(label))
    .map((label) => `nothing in ${text(about)} has a label ${label}`)
}

function all(node: SyntaxNode): SyntaxNode[] {
  const nodes = [node]
  for (let child = node.firstChild; child; child = child.nextSibling) nodes.push(...all(child))
  return nodes
}

const first = (node: SyntaxNode, is: (node: SyntaxNode) => boolean): SyntaxNode | undefined => all(node).find(is)
