/** Something a profile needs is not there: the message says what a person has to do. */
export class Missing extends Error {
  override readonly name = 'Missing'
}
