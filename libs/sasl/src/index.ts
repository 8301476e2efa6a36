/**
 * @postbus/sasl — the server's side of SASL: mechanisms as conversations over a channel, a verifier and a way to ask the client.
 * No I/O, no passwords.
 */
export {
  decodeInitial,
  decodeResponse,
  SaslFault,
  type Channel,
  type Exchange,
  type Mechanism,
  type ScramFinish,
  type ScramStart,
  type Verdict,
  type Verifier,
} from './exchange.ts'
export { mechanismOf, offeredMechanisms, type Offer } from './mechanisms.ts'
export { naming } from './naming.ts'
export { scramKeysOf, scramServerFirst, verifyScramProof, type ScramKeys, type ScramProof } from './scram-keys.ts'
