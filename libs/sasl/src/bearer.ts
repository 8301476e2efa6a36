/**
 * OAUTHBEARER, and XOAUTH2 as it was before there was a standard: a token of an issuer instead of a password.
 *
 * A refusal travels as a challenge first, which tells the client what kind of token would do; its answer means nothing.
 *
 * STANDARDS  RFC 7628 §3; https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
 */
import { malformed, utf8Of, type Exchange, type Mechanism, type Verdict } from './exchange.ts'

const NONE = new Uint8Array(0)
const SEPARATOR = '\u0001'
// RFC 6750 §2.1: b64token. The scheme is written in any case — RFC 7235 §2.1. Nothing at all asks what would do — RFC 7628 §4.3.
const BEARER = /^(?:bearer +([A-Za-z0-9._~+/-]+=*))?$/i
// RFC 5801 §4: gs2-header without channel binding; a SASL name as in SCRAM.
const GS2_HEADER = /^[ny],(?:a=([^,]*))?,$/

export const oauthBearer: Mechanism = async (exchange) => {
  const response = utf8Of(exchange.initial ?? (await exchange.challenge(NONE)))
  const [header = '', ...rest] = response.split(SEPARATOR)
  const [, name = ''] = GS2_HEADER.exec(header) ?? fail('OAUTHBEARER')
  const values = keyValues(rest, 'OAUTHBEARER')
  const username = name.replaceAll('=2C', ',').replaceAll('=3D', '=')
  return decide(exchange, { username, token: tokenIn(values, 'OAUTHBEARER') }, 'invalid_token')
}

export const xoauth2: Mechanism = async (exchange) => {
  const response = utf8Of(exchange.initial ?? (await exchange.challenge(NONE)))
  const values = keyValues(response.split(SEPARATOR), 'XOAUTH2')
  const username = values.get('user') ?? fail('XOAUTH2')
  return decide(exchange, { username, token: tokenIn(values, 'XOAUTH2') }, '401')
}

/** `key=value` pairs, then two separators — RFC 7628 §3.1. */
function keyValues(parts: string[], mechanism: string): Map<string, string> {
  if (parts.length < 3 || parts.at(-1) !== '' || parts.at(-2) !== '') fail(mechanism)
  return new Map(
    parts.slice(0, -2).map((pair) => {
      const at = pair.indexOf('=')
      return at > 0 ? [pair.slice(0, at), pair.slice(at + 1)] : fail(mechanism)
    }),
  )
}

function tokenIn(values: ReadonlyMap<string, string>, mechanism: string): string {
  const found = BEARER.exec(values.get('auth') ?? fail(mechanism)) ?? fail(mechanism)
  return found[1] ?? ''
}

async function decide<Granted>(
  { verifier, challenge }: Exchange<Granted>,
  claim: { username: string; token: string },
  status: string,
): Promise<Verdict<Granted>> {
  const verdict: Verdict<Granted> = claim.token === '' ? { kind: 'refused', delayMs: 0 } : await verifier.bearer(claim)
  // RFC 7628 §3.2.2: what is wrong, as JSON; the client acknowledges, and then fails.
  if (verdict.kind === 'refused') await challenge(Buffer.from(JSON.stringify({ status, schemes: 'bearer' })))
  return verdict
}

function fail(mechanism: string): never {
  throw malformed(mechanism)
}
