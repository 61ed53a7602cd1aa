import type { Clock, Secret, Session } from '@mcp-delegation/core'
import type { VaultAuth, VaultEnvelope } from '../envelope.ts'
import type { ClientCertificate } from '../vault-client.ts'

/** What a login method logs in with. */
export interface LoginContext {
  /** Sent once, without a token. Rejects with a `VaultError`. */
  post(path: string, body: Readonly<Record<string, unknown>>): Promise<VaultEnvelope>
  /** Asks what a token is (`auth/token/lookup-self`). Rejects with a `VaultError`. */
  lookUp(token: Secret<string>): Promise<VaultAuth>
  /** See `VaultClient.present`. */
  present(certificate: ClientCertificate): void
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Logs in as the user, with the token of the session: a Vault token for each of the user's tokens. */
export interface UserLogin {
  readonly type: 'jwt'
  readonly as: 'user'
  /**
   * Rejects with a `DelegationError`: `ERR_DELEGATION_DENIED` for a session without a token; what Vault refuses is
   * `ERR_DELEGATION_UNAVAILABLE` at first and `ERR_DELEGATION_PROTOCOL` later, since a refused token and an outage of the
   * issuer's keys can't be told apart. Or with a `VaultError`.
   */
  logIn(session: Session, context: LoginContext): Promise<VaultAuth>
}

/** Logs in as this server: one Vault token for all users. */
export interface OwnLogin {
  readonly type: 'approle' | 'kubernetes' | 'token-file' | 'cert'
  readonly as: 'self'
  /** Whether its tokens are made by a login, and so are this server's to revoke. */
  readonly owned: boolean
  logIn(context: LoginContext): Promise<VaultAuth>
  /** Whether a token is still the one to use. Default: always. */
  readonly isCurrent?:
    | ((token: Secret<string>, options: { readonly signal: AbortSignal }) => Promise<boolean>)
    | undefined
}

/** How this server gets its tokens from Vault. Made by the factories beside this file. */
export type LoginMethod = UserLogin | OwnLogin
