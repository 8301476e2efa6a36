/** What a client sent is not IMAP. The text says what was expected and goes out in a BAD response — RFC 9051 §7.1.3. */
export class ImapSyntaxError extends Error {
  override readonly name = 'ImapSyntaxError'
}

/** Well formed, and more than is taken at once. */
export class ImapLimitError extends Error {
  override readonly name = 'ImapLimitError'
}

/** Well formed as an argument, and no mailbox can have this name. */
export class ImapNameError extends Error {
  override readonly name = 'ImapNameError'
}
