/** What one attempt found out about its site, for whoever decides how hard the site is pressed. */
export type SiteNews =
  /** It was spoken to, whatever it said of the message; or nothing was found out that is held against it. */
  | { kind: 'well' }
  /** It asks us to slow down. */
  | { kind: 'busy'; reason: string }
  /** No session was to be had, or it ended before its time: nobody's mail would have got through. */
  | { kind: 'trouble'; status: `4.${number}.${number}`; reason: string }

/**
 * A site has several hosts and is as well as the best of them: trouble with one is no trouble once another was well. But a plea
 * to slow down stands, whoever of them makes it.
 */
export function togetherWith(before: SiteNews | null, news: SiteNews): SiteNews {
  if (before === null || before.kind === 'trouble') return news.kind === 'trouble' ? (before ?? news) : news
  return before.kind === 'well' && news.kind === 'busy' ? news : before
}
