/** How a user is judged by the privilege attributes in the evidence ticket. Plain data: it is sent to the helper process. */
export interface JudgementRules {
  /** `required`: a ticket without a PAC is refused. `none`: nobody is judged, for realms that issue none. */
  readonly pac: 'required' | 'none'
  /** Users and groups that are refused, by SID. */
  readonly deny: readonly string[]
  /** Groups of which the user must be in at least one, by SID; empty: no such condition. */
  readonly requireGroupSid: readonly string[]
}
