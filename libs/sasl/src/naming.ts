/** Who a client says it is, for those who write logs: the mechanisms tell it to nobody but the verifier. */
import type { Verifier } from './exchange.ts'

/** The same verifier; `named` is told each name before it is asked. '' from a token without one. */
export function naming<Granted>(verifier: Verifier<Granted>, named: (username: string) => void): Verifier<Granted> {
  const told = <Claim extends { username: string }>(claim: Claim): Claim => {
    named(claim.username)
    return claim
  }
  return {
    password: (claim) => verifier.password(told(claim)),
    scramStart: (claim) => verifier.scramStart(told(claim)),
    scramFinish: (finish) => verifier.scramFinish(finish),
    bearer: (claim) => verifier.bearer(told(claim)),
  }
}
