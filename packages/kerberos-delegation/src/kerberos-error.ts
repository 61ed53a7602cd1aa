/** Why the domain, the keytab or a rule of this module refused. Each one is a heading of the troubleshooting page. */
export type KerberosReason =
  | 'library-missing'
  | 'keytab-unusable'
  | 'key-rejected'
  | 'service-account-unknown'
  | 'service-account-disabled'
  | 'service-password-expired'
  | 'service-not-a-service'
  | 'encryption-type-refused'
  | 'user-unknown'
  | 'user-disabled'
  | 'user-expired'
  | 'user-must-change-password'
  | 'user-refused-by-policy'
  | 'user-not-delegated'
  | 'user-privileged'
  | 'user-is-a-machine'
  | 'user-denied-by-sid'
  | 'user-lacks-group'
  | 'user-is-another-account'
  | 'no-privilege-attributes'
  | 'no-protocol-transition'
  | 'target-not-delegated'
  | 'target-unknown'
  | 'target-duplicated'
  | 'clock-skew'
  | 'kdc-unreachable'
  | 'kdc-unknown'
  | 'kdc-silent'
  | 'kdc-silent-lately'
  | 'ticket-expired'
  | 'ticket-released'
  | 'engine-stopped'
  | 'peer-refused'
  | 'unexpected'

/** The `cause` of a `DelegationError` from this module: what happened, and what to do about it. For the operator. */
export class KerberosError extends Error {
  readonly reason: KerberosReason
  /** What to do, with the commands for PowerShell and samba-tool where there are such. */
  readonly remedy: string
  /** The step that failed: `service`, `self` (S4U2Self), `proxy` (S4U2Proxy), `accept`, `judge` … */
  readonly stage: string | undefined
  /** GSSAPI's major status. @see https://www.rfc-editor.org/rfc/rfc2744#section-3.9.1 */
  readonly major: number | undefined
  /** The Kerberos library's code, signed. @see https://web.mit.edu/kerberos/krb5-latest/doc/appdev/refs/macros/index.html */
  readonly minor: number | undefined

  constructor(
    reason: KerberosReason,
    what: string,
    remedy: string,
    details: {
      readonly stage?: string | undefined
      readonly major?: number | undefined
      readonly minor?: number | undefined
    } & ErrorOptions = {},
  ) {
    const { stage, major, minor, cause } = details
    super(`${what}. ${remedy}`, cause === undefined ? undefined : { cause })
    this.name = 'KerberosError'
    this.reason = reason
    this.remedy = remedy
    this.stage = stage
    this.major = major
    this.minor = minor
  }
}
