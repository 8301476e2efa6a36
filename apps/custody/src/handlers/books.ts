/** custody.books: whether the books balance. */
import type { balanceBooks } from '@postbus/contracts'
import type { z } from 'zod'

import { balanceOf } from '../balance/balance.ts'
import type { Books } from '../tracking/books.ts'

export function onBalanceBooks(books: Pick<Books, 'counts'>) {
  return async (): Promise<z.input<typeof balanceBooks.output>> => balanceOf(await books.counts({ failures: true }))
}
