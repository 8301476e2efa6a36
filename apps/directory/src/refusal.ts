/** A request understood and refused: the code is one of its contract's, the text names the field and what is allowed. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export const invalid = (field: string, rule: string): Refusal => new Refusal('invalid', `${field}: ${rule}`)
