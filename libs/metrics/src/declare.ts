/**
 * Metrics as declarations: name, type, labels with the values they can have, meaning. The page, the checks of rules and dashboards
 * and the compiler all read these, so what is counted is what is documented.
 *
 * Names begin with `mail_`, end in their unit (`_seconds`, `_bytes`) and, for counters, in `_total`. A label's values are few and
 * ours: never an address, a domain, a site or an id.
 */

/** Values that a series is made for when they are first seen. */
export interface Seen<Value extends string = string> {
  /** What they are, in words for the page. */
  readonly seen: string
  /** Only for the compiler. */
  readonly value?: Value
}

/** A list: every value's series is there from the start, at 0, so that the first event is a rise. */
export type Label = readonly string[] | Seen
export type Labels = Readonly<Record<string, Label>>

export type MetricType = 'counter' | 'gauge' | 'histogram'

export interface Declaration<Type extends MetricType = MetricType, Of extends Labels = Labels> {
  readonly type: Type
  readonly name: string
  /** What it says, a sentence. */
  readonly help: string
  readonly labels: Of
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[]
  /** Each observation may name the trace it belongs to. */
  readonly exemplars?: boolean
}

/** The metrics of a part of a service, by the names they have in code. */
export type MetricTable = Readonly<Record<string, Declaration>>

export const seen = <Value extends string = string>(words: string): Seen<Value> => ({ seen: words })

export const counter = <const Of extends Labels = Record<never, never>>(
  name: string,
  help: string,
  labels?: Of,
): Declaration<'counter', NoInfer<Of>> => declared('counter', name, help, labels)

export const gauge = <const Of extends Labels = Record<never, never>>(
  name: string,
  help: string,
  labels?: Of,
): Declaration<'gauge', NoInfer<Of>> => declared('gauge', name, help, labels)

export const histogram = <const Of extends Labels = Record<never, never>>(
  name: string,
  help: string,
  buckets: readonly number[],
  labels?: Of,
): Declaration<'histogram', NoInfer<Of>> => ({
  ...declared('histogram', name, help, labels),
  buckets,
})

/** A histogram without labels whose observations may name their trace. */
export const tracedHistogram = (
  name: string,
  help: string,
  buckets: readonly number[],
): Declaration<'histogram', Record<never, never>> & { exemplars: true } => ({
  ...declared('histogram', name, help),
  buckets,
  exemplars: true,
})

function declared<Type extends MetricType, Of extends Labels>(
  type: Type,
  name: string,
  help: string,
  labels?: Of,
): Declaration<Type, Of> {
  return { type, name, help, labels: labels ?? ({} as Of) } // without labels Of has none
}

/** The names of the series a metric is read by: of a histogram `_bucket`, `_sum` and `_count`. */
export const seriesOf = ({ type, name }: Pick<Declaration, 'type' | 'name'>): string[] =>
  type === 'histogram' ? ['_bucket', '_sum', '_count'].map((part) => name + part) : [name]
