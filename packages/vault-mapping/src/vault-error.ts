import type { VaultEnvelope } from './envelope.ts'

/**
 * How a request to Vault failed:
 * - `status`: it answered with another status than 2xx;
 * - `unreachable`: no connection, or it broke;
 * - `late`: no answer in time;
 * - `redirected`: it pointed to an address that is not one of the options';
 * - `malformed`: its answer is not what the API says, or too large. So is a 400, 403 or 404 that is not in the API's form:
 *   somebody else said no, and that means nothing of tokens, secrets and leases. It has no status then.
 */
export type VaultErrorKind = 'status' | 'unreachable' | 'late' | 'redirected' | 'malformed'

/** What {@link VaultError} takes besides its kind and message. */
export interface VaultErrorDetails extends ErrorOptions {
  /** The HTTP status, where there was an answer. */
  readonly status?: number | undefined
  /** Whether the server may have done what it was asked for all the same. */
  readonly uncertain: boolean
  /** Milliseconds since the epoch: when the server wants to be asked again. */
  readonly retryAt?: number | undefined
  /** What came with the status: a deleted secret is 404 with an envelope. */
  readonly envelope?: VaultEnvelope | undefined
  /** How many reasons the server gave. Default: 0. */
  readonly reasons?: number | undefined
}

/**
 * A request to Vault that failed, for the operator: the cause of a `DelegationError`. It holds the method, the path's mount
 * and the server's own error texts, and no token, header or body.
 */
export class VaultError extends Error {
  readonly kind: VaultErrorKind
  readonly status: number | undefined
  readonly uncertain: boolean
  readonly retryAt: number | undefined
  /** How many reasons the server gave: none for a secret that is not there, some for a mount that is not. */
  readonly reasons: number
  readonly #envelope: VaultEnvelope | undefined

  constructor(kind: VaultErrorKind, message: string, details: VaultErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'VaultError'
    this.kind = kind
    this.status = details.status
    this.uncertain = details.uncertain
    this.retryAt = details.retryAt
    this.reasons = details.reasons ?? 0
    this.#envelope = details.envelope
  }

  /** Not a property, which would be printed: it may hold a secret. */
  envelope(): VaultEnvelope | undefined {
    return this.#envelope
  }
}
