import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type SiteNews, togetherWith } from './site-news.ts'

const well: SiteNews = { kind: 'well' }
const busy: SiteNews = { kind: 'busy', reason: 'slow down' }
const trouble: SiteNews = { kind: 'trouble', status: '4.4.1', reason: 'refused' }

test('a site is as well as the best of its hosts, and as busy as one of them says', () => {
  const cases: [SiteNews[], SiteNews][] = [
    [[well], well],
    [[trouble, trouble], trouble],
    [[trouble, well], well],
    [[well, trouble], well],
    [[well, busy], busy],
    [[busy, well], busy],
    [[busy, trouble], busy],
    [[trouble, busy], busy],
  ]
  for (const [heard, sum] of cases) assert.deepEqual(heard.reduce<SiteNews | null>(togetherWith, null), sum)
})
