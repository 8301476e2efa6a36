/** CAPA, in both states — RFC 2449 §5–6; capabilities of RFC 2595, 3206, 5034, 6856. */
import { offeredMechanisms } from '@postbus/sasl'

import { lines } from '../reply.ts'
import type { Command } from '../session.ts'

export const capa: Command = ({ canStartTls, mayLogin, offer }) => ({
  text: 'capabilities',
  body: lines([
    'TOP',
    'UIDL',
    'RESP-CODES',
    'AUTH-RESP-CODE',
    'PIPELINING',
    'UTF8 USER',
    'LANG',
    // RFC 2449 §6.7: what is not deleted stays.
    'EXPIRE NEVER',
    ...(mayLogin ? ['USER', `SASL ${offeredMechanisms(offer).join(' ')}`] : []),
    ...(canStartTls ? ['STLS'] : []),
    'IMPLEMENTATION Postbus',
  ]),
})
