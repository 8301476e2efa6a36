/** What one transaction says about its site, beyond its own recipients. */
export type SiteNews =
  /** It answered; what it said about a message or a recipient is no matter of the site. */
  | { kind: 'well' }
  /** No session could be had: whoever comes next would fare no better. */
  | Trouble
  /** It takes mail, but asks for less of it. */
  | { kind: 'busy'; reason: string }

export interface Trouble {
  kind: 'trouble'
  status: `4.${number}.${number}`
  reason: string
}
