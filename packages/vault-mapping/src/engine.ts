import type { Clock, Logger } from '@mcp-delegation/core'
import type { VaultEnvelope } from './envelope.ts'
import type { Revocations } from './revocations.ts'
import type { VaultToken } from './vault-token.ts'

/** What leases need of the module that they belong to. */
export interface Engine {
  readonly clock: Clock
  readonly log: Logger
  readonly revocations: Revocations
  /** Whether tokens are users' own, and not one for everybody. */
  readonly isPersonal: boolean
  /** Whether tokens may revoke leases: else leases end with their tokens. Yes, where Vault can't say. */
  revokesLeases(token: VaultToken): Promise<boolean>
  /** Vault has just said no to that. */
  cannotRevokeLeases(error: Error): void
  /** Sends a request about leases once. Rejects with a `VaultError`. */
  send(
    path: string,
    body: Readonly<Record<string, unknown>>,
    token: VaultToken,
    signal?: AbortSignal,
  ): Promise<VaultEnvelope>
}
