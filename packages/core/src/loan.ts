import type { DelegationError } from './errors.ts'
import type { Cover, Session, SessionSnapshot } from './session.ts'

/** What a module learns of one lease on a credential that it issued. */
export interface Loan {
  /** Who holds the lease. */
  readonly session: Session
  /** When the lease expires. */
  readonly expiresAt: Date
  /**
   * Aborted when the lease ends: it was disposed or has expired, its session was ended, the credential was released. The
   * reason is a `DelegationError` where the user was blocked or the session ended.
   */
  readonly signal: AbortSignal
  /**
   * Records in audit that a copy of the credential leaves the process, or with `error` that this was refused. Call it
   * before the copy is handed out. Rejects with `ERR_AUDIT_FAILED` where the record was not accepted.
   */
  recordExport(error?: DelegationError): Promise<void>
}

const MAX_DELAY = 2 ** 31 - 1

/** See {@link Loan}. */
export class OpenLoan implements Loan {
  readonly session: Session
  readonly cover: Cover
  readonly recordExport: Loan['recordExport']
  readonly #expiresAt: number
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout

  /** Calls `expire` in `timeLeft` milliseconds, unless it has ended before. */
  constructor(
    holder: Pick<SessionSnapshot, 'session' | 'cover'>,
    expiresAt: number,
    timeLeft: number,
    recordExport: Loan['recordExport'],
    expire: (loan: OpenLoan) => void,
  ) {
    this.session = holder.session
    this.cover = holder.cover
    this.recordExport = recordExport
    this.#expiresAt = expiresAt
    this.#timer = setTimeout(() => expire(this), Math.max(0, Math.min(timeLeft, MAX_DELAY))).unref()
  }

  get expiresAt(): Date {
    return new Date(this.#expiresAt)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(refusal?: DelegationError): void {
    clearTimeout(this.#timer)
    this.#controller.abort(refusal)
  }
}
