/**
 * @postbus/mail-auth — what a domain says of its mail: DKIM signatures and the records they are verified with.
 * A model layer: no file, no socket, no clock, no DNS. A message is read as a stream and never held as a whole.
 */
export { keyPair, type KeyPair, readPrivateKey, type SigningAlgorithm, signingAlgorithms } from './key-pair.ts'
export { isSelector, keyRecord, keyRecordName, recordHoldsKey } from './key-record.ts'
export { signatureOf, type SigningKey, type SigningOptions } from './signature.ts'
