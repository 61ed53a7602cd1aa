import type { Secret } from './secret.ts'

/** What a domain says of a user: the privilege attributes (PAC) of a ticket that the domain issued for them. */
export interface KerberosIdentity {
  /** The user's principal, `name@REALM`. */
  readonly principal: string
  /** The account's name as the domain spells it; `undefined` where the realm issues no privilege attributes. */
  readonly account: string | undefined
  /** The user's security identifier. */
  readonly sid: string | undefined
  /** The security identifiers of the user's groups. */
  readonly groups: readonly string[]
  /** Whether the domain lets services act for this user. */
  readonly forwardable: boolean
}

/** A Kerberos service ticket of the user, held by the engine that made it. */
export interface KerberosCredential {
  readonly kind: 'kerberos'
  /** The user's principal, `name@REALM`. */
  readonly client: string
  /** The service's principal. */
  readonly service: string
  /** The user's security identifier, where the ticket carries one. */
  readonly sid: string | undefined
  /** What the domain said of the user when the ticket was issued; absent where the engine does not ask. */
  readonly identity?: KerberosIdentity | undefined
  /**
   * The value of an `Authorization: Negotiate …` header; a new token each time.
   * @see https://www.rfc-editor.org/rfc/rfc4559
   */
  negotiate(options?: { readonly channelBindings?: Uint8Array | undefined }): Promise<string>
  /**
   * A security context of several steps with mutual authentication, for SASL GSSAPI. Only with `security` can it wrap and
   * unwrap messages; what it unwraps is then protected at least as asked.
   */
  context(options?: {
    readonly security?: 'integrity' | 'confidentiality' | undefined
    readonly channelBindings?: Uint8Array | undefined
  }): Promise<KerberosContext>
  /** Writes the ticket to a credential cache file that is deleted on dispose. */
  exportCredentialCache(): Promise<{ readonly path: string } & AsyncDisposable>
}

/** How one message of a security context is protected. */
export interface KerberosMessageOptions {
  /** Never more than the context's own. Default: the context's own. */
  readonly security?: 'integrity' | 'confidentiality' | undefined
}

/** A GSSAPI security context between the user and the service. */
export interface KerberosContext extends AsyncDisposable {
  readonly done: boolean
  step(reply?: Uint8Array): Promise<Uint8Array>
  /** Protects a message, as the context does all, or as `options` say: SASL agrees on encryption in plain text. */
  wrap(message: Uint8Array, options?: KerberosMessageOptions): Promise<Uint8Array>
  /** Opens a message; rejects where it is protected less than the context does, or than `options` say. */
  unwrap(message: Uint8Array, options?: KerberosMessageOptions): Promise<Uint8Array>
}

/** A user name and its password. */
export interface PasswordCredential {
  readonly kind: 'password'
  readonly username: string
  readonly password: Secret<string>
}

/**
 * A bearer token for the backend.
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export interface BearerCredential {
  readonly kind: 'bearer'
  readonly token: Secret<string>
}

/** A client certificate with its key, all PEM. */
export interface CertificateCredential {
  readonly kind: 'certificate'
  readonly certificate: string
  readonly privateKey: Secret<string>
  /** The issuing certificates, nearest first. */
  readonly chain: readonly string[]
}

/** An SSH certificate with its key, in OpenSSH's formats. */
export interface SshCertificateCredential {
  readonly kind: 'ssh-certificate'
  readonly username: string
  readonly certificate: string
  readonly privateKey: Secret<string>
}

/** A live session at the backend; the issued credential's `release` ends it. */
export interface SessionCredential<Handle> {
  readonly kind: 'session'
  readonly handle: Handle
}
