import assert from 'node:assert/strict'
import { test } from 'node:test'

import { addressText } from './address-text.ts'

/** As Dovecot 2.3 has them, but for the apostrophe in quotes, which needs no backslash. */
const TEXTS: Record<string, string> = {
  'ann@x.example': '<ann@x.example>',
  'Ann <ann@x.example>, bob@x.example': 'Ann <ann@x.example>, <bob@x.example>',
  'ann@x.example (Ann)': 'Ann <ann@x.example>',
  'Ann (c) B <ann@x.example>': '"Ann B" <ann@x.example>',
  'A.B <a@x.example>': '"A.B" <a@x.example>',
  "O'Brien <o@x.example>": "O'Brien <o@x.example>",
  '"A \\"Q\\" \\\\" <q@x.example>': '"A \\"Q\\" \\\\" <q@x.example>',
  '"" <s@x.example>': '<s@x.example>',
  'Jürgen <j@x.example>': 'Jürgen <j@x.example>',
  '=?utf-8?q?J?= =?utf-8?q?K?= <s@x.example>': '=?utf-8?q?J?= =?utf-8?q?K?= <s@x.example>',
  '"a.b"@x.example': '<a.b@x.example>',
  '"a b"@x.example': '<"a b"@x.example>',
  '""@x.example': '<""@x.example>',
  's @ x . example': '<s@x.example>',
  's@[192.0.2.1]': '<s@[192.0.2.1]>',
  'Smith <@a.example,@b.example:s@x.example>': 'Smith <@a.example,@b.example:s@x.example>',
  'Smith <@a.example s@x.example>': 'Smith <INVALID_ROUTE:s@x.example>',
  'Smith <s@x.example': 'Smith <s@SYNTAX_ERROR>',
  'Smith Jones': '"Smith Jones" <MISSING_MAILBOX@MISSING_DOMAIN>',
  '<>': '<MISSING_MAILBOX@MISSING_DOMAIN>',
  'undisclosed-recipients:;': 'undisclosed-recipients:;',
  'A Group: Ed <ed@x.example>,joe@x.example;, ann@x.example':
    '"A Group": Ed <ed@x.example>, <joe@x.example>;, <ann@x.example>',
  '': '',
}

for (const [value, text] of Object.entries(TEXTS)) {
  test(`${value || 'nothing'} as one text`, () => assert.equal(addressText(value), text))
}
