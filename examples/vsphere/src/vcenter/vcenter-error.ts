/** Why a call failed. */
export type VcenterErrorCode =
  /** Name or password are wrong, or the account may not log in. */
  | 'ERR_VCENTER_LOGIN'
  /** The session is over: it was ended, or was idle for too long. */
  | 'ERR_VCENTER_NOT_AUTHENTICATED'
  /** vCenter does not let this user do it. */
  | 'ERR_VCENTER_DENIED'
  /** There is no such object. */
  | 'ERR_VCENTER_NOT_FOUND'
  /** There are several of that name. */
  | 'ERR_VCENTER_AMBIGUOUS'
  /** vCenter refused: `fault` says why. */
  | 'ERR_VCENTER_FAULT'
  /** A value can't be sent. */
  | 'ERR_VCENTER_INVALID'
  /** No answer, or none in time. A task that took too long goes on in vCenter. */
  | 'ERR_VCENTER_UNAVAILABLE'
  /** An answer that is none of vCenter's. */
  | 'ERR_VCENTER_PROTOCOL'

/** What a {@link VcenterError} also holds. */
export interface VcenterErrorOptions {
  readonly fault?: string | undefined
  readonly begun?: boolean | undefined
  readonly cause?: unknown
}

/** A failed call. Neither it nor its cause holds passwords, session keys or what vCenter answered. */
export class VcenterError extends Error {
  readonly code: VcenterErrorCode
  /** The name of vCenter's fault, such as `InvalidPowerState`. */
  readonly fault: string | undefined
  /** Whether vCenter may have begun what was ordered before the call failed: given again, it could be done twice. */
  readonly begun: boolean

  constructor(code: VcenterErrorCode, message: string, options: VcenterErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'VcenterError'
    this.code = code
    this.fault = options.fault
    this.begun = options.begun ?? false
  }
}

/** Whether the session that was used is over, and another must be opened. */
export function isNotAuthenticated(error: unknown): boolean {
  return error instanceof VcenterError && error.code === 'ERR_VCENTER_NOT_AUTHENTICATED'
}
