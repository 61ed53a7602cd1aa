import type { Clock } from '@mcp-delegation/core'
import type { VaultEnvelope } from '../envelope.ts'
import type { Template } from '../paths.ts'

/** The parts of an identity that paths and names may hold. All are checked when a path is made. */
export interface IdentityParts {
  /** What the mapping answered for the session. */
  readonly principal: string
  readonly issuer: string
  readonly subject: string
}

/** What a source gets to obtain a credential with. */
export interface SourceContext {
  readonly who: IdentityParts
  readonly clock: Clock
  /** Reads what is there: may be sent again where the server can't answer. Rejects with a `VaultError`. */
  read(path: string, query?: Readonly<Record<string, string>>): Promise<VaultEnvelope>
  /**
   * Has something made: a lease, a certificate. Sent once: where its outcome is not known, the Vault token that it was
   * sent with is given up, and whatever it made with it. Without `body` a GET. Rejects with a `VaultError`.
   */
  make(path: string, body?: Readonly<Record<string, unknown>>): Promise<VaultEnvelope>
}

/** What a source obtained. Instants are milliseconds since the epoch. */
export interface Obtained<Value> {
  readonly value: Value
  /** Whom the backend sees. */
  readonly principal: string
  /** When the backend stops accepting it, or it has to be read again; a lease that was made for it counts besides. */
  readonly expiresAt: number
}

/** A lease of a secrets engine. */
export interface EngineLease {
  readonly id: string
  readonly renewable: boolean
  readonly expiresAt: number
  /** As first granted, in milliseconds. */
  readonly duration: number
}

/** Texts of one kind that stand for users: paths below a mount, names of roles, names in certificates. */
export interface Claim {
  /** Texts of different kinds never mean the same. */
  readonly kind: string
  readonly template: Template
}

/** How one target's credentials come from Vault. Made by the factories beside this file. */
export interface Source<Value> {
  readonly type: string
  /** Whether Vault makes leases for it: then the Vault token must be allowed to revoke them. */
  readonly leased: boolean
  /** What it takes for one user: no two sources of a module may take the same for two users. */
  readonly claims: readonly Claim[]
  /**
   * Rejects with a `VaultError`, or with a `DelegationError` where it knows what a status means here:
   * `ERR_DELEGATION_NO_IDENTITY` only where Vault holds no entry for this user and never did.
   */
  obtain(context: SourceContext): Promise<Obtained<Value>>
}

/** The lease that came with an envelope. */
export function leaseOf({ leaseId, renewable, leaseDuration, sentAt }: VaultEnvelope): EngineLease | undefined {
  if (leaseId === '') return undefined
  return { id: leaseId, renewable, expiresAt: sentAt + leaseDuration, duration: leaseDuration }
}
