/** CAPABILITY — RFC 9051 §6.1.1. */
import { capabilityList } from '../capabilities.ts'
import { anyTime, nothing } from '../command.ts'

export const capability = anyTime({
  name: 'CAPABILITY',
  parse: nothing,
  run: async ({ session }) => {
    session.out.line(`* ${capabilityList(session.capabilities())}`)
    return { text: 'CAPABILITY completed' }
  },
})
