/**
 * @postbus/batch — many callers share one flush: group commit for the spool, the mailstore's transactions, the ledger,
 * status messages. Whatever arrives while a flush is under way travels with the next one; a lone item waits for nobody.
 */
export { gather, BatchFull, type Gatherer, type GatherOptions } from './gather.ts'
export { atMost } from './at-most.ts'
