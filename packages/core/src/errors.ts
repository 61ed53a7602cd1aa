/** Every code of a {@link DelegationError}. The set is closed: a caller may switch over it. */
export type DelegationErrorCode =
  | 'ERR_SESSION_INVALID'
  | 'ERR_SESSION_EXPIRED'
  | 'ERR_SESSION_BLOCKED'
  | 'ERR_SESSION_SCOPE'
  | 'ERR_TOOL_DENIED'
  | 'ERR_RATE_LIMITED'
  | 'ERR_INTERACTION_REQUIRED'
  | 'ERR_DELEGATION_NO_IDENTITY'
  | 'ERR_DELEGATION_DENIED'
  | 'ERR_DELEGATION_INVALID_REQUEST'
  | 'ERR_DELEGATION_UNAVAILABLE'
  | 'ERR_DELEGATION_PROTOCOL'
  | 'ERR_DELEGATION_UNKNOWN_MODULE'
  | 'ERR_AUDIT_FAILED'

/** What {@link DelegationError} takes besides its code and message. */
export interface DelegationErrorOptions extends ErrorOptions {
  /** The earliest instant at which trying again can help. */
  readonly retryAfter?: Date | undefined
  /** For `ERR_SESSION_SCOPE`: the scopes that would be enough. */
  readonly scopes?: readonly string[] | undefined
}

const brand: unique symbol = Symbol.for('mcp-delegation.error') as never

/**
 * The one error that this framework rejects with. `code` is for the caller's decision, `cause` for the operator's
 * diagnosis, `message` is safe to show to a model: it holds no secret and no raw input.
 */
export class DelegationError extends Error {
  readonly code: DelegationErrorCode
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  readonly retryAfter: Date | undefined
  readonly scopes: readonly string[] | undefined

  constructor(code: DelegationErrorCode, message: string, options: DelegationErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DelegationError'
    this.code = code
    this.retryable = code === 'ERR_RATE_LIMITED' || code === 'ERR_DELEGATION_UNAVAILABLE'
    const { retryAfter, scopes } = options
    // What came from a backend's answer may be neither.
    this.retryAfter = retryAfter instanceof Date && !Number.isNaN(retryAfter.getTime()) ? retryAfter : undefined
    this.scopes = Array.isArray(scopes) ? scopes : undefined
    Object.defineProperty(this, brand, { value: true })
  }
}

/** Whether `error` is a {@link DelegationError}; also one made by another copy of this package. */
export function isDelegationError(error: unknown): error is DelegationError {
  return error instanceof Error && (error as { [brand]?: unknown })[brand] === true
}
