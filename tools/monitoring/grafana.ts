/** Grafana's JSON, as little of it as its dashboards need: rows of panels of one height, each with its queries. */

export interface Query {
  expr: string
  /** As Grafana has it: `{{label}}`. */
  legend: string
  /** Traces as points, of a histogram's buckets. */
  exemplars?: boolean
}

export interface Panel {
  title: string
  /** What it means and when to look, for the panel's corner. */
  about?: string
  kind?: 'timeseries' | 'stat'
  /** One of Grafana's. */
  unit: 'short' | 's' | 'bytes' | 'ops' | 'reqps' | 'percentunit' | 'Bps'
  queries: Query[]
}

export interface Row {
  title: string
  panels: Panel[]
}

export interface Dashboard {
  /** Its file name and its address in Grafana. */
  uid: string
  title: string
  rows: Row[]
}

const WIDTH = 24
const HEIGHT = 8
/** Grafana puts what fits the time range and the scrape interval there. */
export const RATE_INTERVAL = '$__rate_interval'
const source = { type: 'prometheus', uid: '${datasource}' }

export function dashboardFile({ uid, title, rows }: Dashboard): string {
  let id = 0
  let y = 0
  const panels: object[] = []
  for (const row of rows) {
    panels.push({
      id: ++id,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { h: 1, w: WIDTH, x: 0, y: y++ },
    })
    const w = Math.floor(WIDTH / Math.max(2, row.panels.length))
    for (const [index, panel] of row.panels.entries()) {
      panels.push({ id: ++id, ...panelOf(panel), gridPos: { h: HEIGHT, w, x: index * w, y } })
    }
    y += HEIGHT
  }
  const dashboard = {
    uid,
    title,
    tags: ['postbus'],
    schemaVersion: 39,
    editable: false,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: {
      list: [{ name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', hide: 0 }],
    },
    links: [{ type: 'dashboards', title: 'Postbus', tags: ['postbus'], asDropdown: true, keepTime: true }],
    panels,
  }
  return `${JSON.stringify(dashboard, null, 2)}\n`
}

function panelOf({ title, about, kind = 'timeseries', unit, queries }: Panel): object {
  return {
    type: kind,
    title,
    ...(about !== undefined && { description: about }),
    datasource: source,
    fieldConfig: {
      defaults: { unit, ...(kind === 'timeseries' && { min: 0, custom: { fillOpacity: 10 } }) },
      overrides: [],
    },
    ...(kind === 'timeseries' && {
      options: { legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] } },
    }),
    targets: queries.map(({ expr, legend, exemplars = false }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: source,
      expr,
      legendFormat: legend,
      range: true,
      ...(exemplars && { exemplar: true }),
    })),
  }
}
