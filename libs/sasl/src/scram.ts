/**
 * SCRAM-SHA-256 and -PLUS, the part between client and verifier: grammar, nonce and channel binding. The proof is the
 * verifier's; only what it needs for that reaches it.
 *
 * STANDARDS  RFC 5802 §5–7, RFC 7677; channel bindings: RFC 9266 (tls-exporter), RFC 5929 §4 (tls-server-end-point)
 */
import {
  malformed,
  requireSelf,
  SaslFault,
  utf8Of,
  type Channel,
  type Exchange,
  type Mechanism,
  type Verdict,
} from './exchange.ts'

/** Longer ones are nobody's. */
const MAX_NONCE = 256
const NONE = new Uint8Array(0)

export const scramSha256: Mechanism = (exchange) => scram(exchange, false)
export const scramSha256Plus: Mechanism = (exchange) => scram(exchange, true)

/** Types we can bind to, best first. */
export const channelBindingTypes = ['tls-exporter', 'tls-server-end-point'] as const

/** Whether -PLUS can be offered: without TLS there is nothing to bind to. */
export function canBind(channel: Channel): boolean {
  return channelBindingTypes.some((type) => channel.channelBinding(type) !== null)
}

async function scram<Granted>(exchange: Exchange<Granted>, plus: boolean): Promise<Verdict<Granted>> {
  const { channel, verifier, challenge } = exchange
  const first = parseFirst(utf8Of(exchange.initial ?? (await challenge(NONE))))
  const binding = bindingOf(first, channel, plus)
  const { serverFirst, challenge: memory } = await verifier.scramStart(first)
  const final = parseFinal(utf8Of(await challenge(Buffer.from(serverFirst))))
  const nonce = /^r=([^,]*)/.exec(serverFirst)?.[1]
  // Somebody between us and the client, or another conversation: no proof can be right.
  if (final.nonce !== nonce || !final.channelBinding.equals(binding)) return { kind: 'refused', delayMs: 0 }
  const verdict = await verifier.scramFinish({
    challenge: memory,
    clientFirstBare: first.bare,
    clientFinalWithoutProof: final.withoutProof,
    proof: final.proof,
  })
  if (verdict.kind !== 'accepted') return verdict
  requireSelf(first.authorization, first.username)
  const { granted, serverSignature } = verdict.granted
  // RFC 5802 §5.1: the client sees that we know it, too, and has nothing to say to that.
  const last = await challenge(Buffer.from(`v=${Buffer.from(serverSignature).toString('base64')}`))
  if (last.length > 0) throw malformed('empty')
  return { kind: 'accepted', granted }
}

interface First {
  /** As it stood before the bare message. */
  gs2Header: string
  flag: string
  authorization: string
  bare: string
  username: string
  clientNonce: string
}

// RFC 5802 §7: gs2-header, then n=, r= and extensions we need not know. `m=` is one we would have to.
const FIRST = /^((n|y|p=[A-Za-z0-9.-]+),(?:a=([^,]+))?,)(n=([^,]+),r=([^,]+)(?:,[A-Za-z]=.*)?)$/s

function parseFirst(text: string): First {
  const [, gs2Header, flag, authorization = '', bare, username, clientNonce] = FIRST.exec(text) ?? []
  if (!gs2Header || !flag || !bare || !username || !clientNonce) throw malformed('a SCRAM client-first-message')
  if (clientNonce.length > MAX_NONCE || !/^[\x21-\x7e]+$/.test(clientNonce)) throw malformed('a SCRAM nonce')
  return {
    ...{ gs2Header, flag, bare, clientNonce },
    authorization: saslName(authorization),
    username: saslName(username),
  }
}

/** RFC 5802 §5.1: `=2C` and `=3D` stand for comma and equals sign; no other `=` is allowed. */
function saslName(text: string): string {
  if (/=(?!2C|3D)/.test(text)) throw malformed('a SCRAM name')
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

/** What `c=` must carry: the header as it came and, with -PLUS, the channel — RFC 5802 §6. */
function bindingOf({ gs2Header, flag }: First, channel: Channel, plus: boolean): Buffer {
  const header = Buffer.from(gs2Header)
  if (!flag.startsWith('p=')) {
    if (plus) throw malformed('bound to the channel')
    // RFC 5802 §6: a client that could bind, and thinks we cannot, has been lied to about what we offer.
    if (flag === 'y' && canBind(channel)) throw new SaslFault('malformed', 'Channel binding is offered: use it')
    return header
  }
  if (!plus) throw malformed('without channel binding')
  const data = channel.channelBinding(flag.slice('p='.length))
  if (data === null) throw new SaslFault('malformed', 'This type of channel binding is not to be had')
  return Buffer.concat([header, data])
}

interface Final {
  withoutProof: string
  channelBinding: Buffer
  nonce: string
  proof: Buffer
}

const FINAL = /^(c=([A-Za-z0-9+/]+={0,2}),r=([^,]+)(?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/]{43}=)$/s

function parseFinal(text: string): Final {
  const [, withoutProof, binding, nonce, proof] = FINAL.exec(text) ?? []
  if (!withoutProof || !binding || !nonce || !proof) throw malformed('a SCRAM client-final-message')
  return {
    withoutProof,
    nonce,
    channelBinding: Buffer.from(binding, 'base64'),
    proof: Buffer.from(proof, 'base64'),
  }
}
