import type { Secret } from '@mcp-delegation/core'

/** What a login answers with. Durations are milliseconds, instants milliseconds since the epoch. */
export interface VaultAuth {
  readonly token: Secret<string>
  readonly accessor: string | undefined
  /** When it ends unless it is renewed, counted from when it was asked for; infinite for a token that never ends. */
  readonly expiresAt: number
  readonly renewable: boolean
  /** How often it may be used; 0 for any number. */
  readonly uses: number
  readonly policies: readonly string[]
}

/** What Vault answers with, checked and in our units. */
export interface VaultEnvelope {
  /** When the request was sent, in milliseconds since the epoch: what it says of durations counts from here at the latest. */
  readonly sentAt: number
  /** Empty where nothing is leased. */
  readonly leaseId: string
  readonly renewable: boolean
  /** Milliseconds. */
  readonly leaseDuration: number
  readonly data: Readonly<Record<string, unknown>> | undefined
  readonly auth: VaultAuth | undefined
  readonly warnings: readonly string[]
}
