/** One claim by its name (which may hold dots and slashes), or the way to a nested one, name by name. */
export type ClaimPath = string | readonly string[]

/** What a claim must be like. Every condition that is given must hold. */
export interface ClaimTest {
  readonly claim: ClaimPath
  /** The text that it must be, or one of several; `null`: the claim must be absent. */
  readonly is?: string | readonly string[] | null | undefined
  /** `true`: it must be there, whatever it holds. */
  readonly exists?: true | undefined
  /** It must be a text that is not empty, or a number above zero. */
  readonly present?: true | undefined
  /** It must be a text with this in it. */
  readonly contains?: string | undefined
}

/**
 * How one make of identity provider marks its access tokens: plain data.
 * @see https://www.rfc-editor.org/rfc/rfc9068
 */
export interface IssuerProfile {
  /** Header `typ` of access tokens, without `application/`, in lower case; `null` where the header may be absent. */
  readonly types: readonly (string | null)[]
  /**
   * What an access token has that no other token of the issuer has, its ID tokens above all; all must hold. May be
   * empty only where `types` alone tells them apart. Not asked of introspected tokens, whose `token_type`, `token_use`
   * or `typ` must say it.
   */
  readonly accessToken: readonly ClaimTest[]
  /** Where the client is named; the first that is there counts, and one must be. */
  readonly clientId: readonly ClaimPath[]
  /** Lists, or texts separated by spaces; all of them together. */
  readonly scopes: readonly ClaimPath[]
  readonly groups: readonly ClaimPath[]
  /** What a token has whose groups are not all of the user's; any of them is enough. Default: nothing says so. */
  readonly groupsIncomplete?: readonly ClaimTest[] | undefined
  readonly roles: readonly ClaimPath[]
  /** What proves that a person logged in; all must hold. A session without the proof is a machine's. */
  readonly user: readonly ClaimTest[]
}
