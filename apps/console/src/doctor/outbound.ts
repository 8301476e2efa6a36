/** Whether mail can leave: many networks do not let port 25 out. */
import { type Finding, ok, warning } from './finding.ts'

export interface OutboundState {
  /** `host:port` that was tried. */
  target: string
  /** What it greeted with; null: nothing came. */
  greeting: string | null
  failure: string | null
}

const MAX_SHOWN = 60

export function judgeOutbound({ target, greeting, failure }: OutboundState): Finding {
  if (greeting?.startsWith('220')) return ok('outbound port', `${target}: ${greeting.slice(0, MAX_SHOWN)}`)
  const found = `${target}: ${failure ?? greeting?.slice(0, MAX_SHOWN) ?? 'no greeting'}`
  return warning('outbound port', found, 'ask the provider to open port 25, or send through a smarthost')
}
