import type { CredentialCache, Entry } from './credential-cache.ts'
import { DelegationError } from './errors.ts'
import type { Loan, OpenLoan } from './loan.ts'
import type { Cover, SessionSnapshot } from './session.ts'

/** A lease on a cached credential. Dispose it when the backend has answered. */
export interface Credential<Value> extends AsyncDisposable {
  /**
   * The credential itself.
   * @throws DelegationError once it has been released: `ERR_SESSION_BLOCKED` after a block, `ERR_SESSION_INVALID` after
   * the session was ended, else `ERR_DELEGATION_UNAVAILABLE`.
   */
  readonly value: Value
  /** When the backend, the cache or the session that asked ends it, whichever is first. Later after a renewal. */
  readonly expiresAt: Date
  /** Whom the backend sees. */
  readonly principal: string
  /** The `type` of the module that served. */
  readonly type: string
  /**
   * The backend refused this credential: the next call is issued a new one. At most once per key in ten seconds, so
   * that a backend that refuses everything is not asked for more and more credentials.
   */
  invalidate(): void
}

/** When a lease of a session on an entry expires. */
export function leaseEnd(entry: Entry, cover: Cover): number {
  return Math.min(entry.expiresAt, cover.expiresAt)
}

const NOTHING_TO_DO = Promise.resolve()

/** See {@link Credential}. */
export class Lease implements Credential<unknown> {
  readonly #cache: CredentialCache
  readonly #entry: Entry
  readonly #snapshot: SessionSnapshot
  #recordExport: Loan['recordExport'] | undefined
  #loan: OpenLoan | undefined
  #lent: unknown
  #ended = false

  constructor(cache: CredentialCache, entry: Entry, snapshot: SessionSnapshot) {
    this.#cache = cache
    this.#entry = entry
    this.#snapshot = snapshot
  }

  get value(): unknown {
    this.#check()
    const { issued } = this.#entry
    if (issued.lend === undefined || this.#recordExport === undefined) return issued.value
    if (this.#loan === undefined) {
      this.#loan = this.#cache.lend(this.#entry, this.#snapshot, this.#end, this.#recordExport)
      if (this.#ended) this.#loan.end()
      this.#lent = issued.lend(this.#loan)
    }
    return this.#lent
  }

  /** Where the module lends its values: how to record that a copy of one leaves the process. */
  lendWith(recordExport: () => Loan['recordExport']): void {
    if (this.#entry.issued.lend !== undefined) this.#recordExport = recordExport()
  }

  #check(): void {
    if (this.#snapshot.cover.ended) throw new DelegationError('ERR_SESSION_INVALID', 'the session was ended')
    if (!this.#entry.released) return
    throw this.#entry.blocked
      ? new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked')
      : new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the credential was released')
  }

  /** @throws DelegationError where the credential was released or has expired. */
  confirm(now: number): void {
    this.#check()
    if (now >= this.#end)
      throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the credential has expired meanwhile')
  }

  /** Whether this is the first lease whose record says that the credential was issued. */
  announce(): boolean {
    if (this.#entry.announced) return false
    this.#entry.announced = true
    return true
  }

  /** Takes the credential out of the cache. */
  discard(): void {
    this.#cache.drop(this.#entry, 'aborted')
  }

  get #end(): number {
    return leaseEnd(this.#entry, this.#snapshot.cover)
  }

  get expiresAt(): Date {
    return new Date(this.#end)
  }

  get principal(): string {
    return this.#entry.principal
  }

  get type(): string {
    return this.#entry.type
  }

  invalidate(): void {
    this.#cache.invalidate(this.#entry)
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return NOTHING_TO_DO
    this.#ended = true
    if (this.#loan !== undefined) this.#cache.endLoan(this.#entry, this.#loan)
    return this.#cache.endLease(this.#entry, this.#snapshot.cover) ?? NOTHING_TO_DO
  }
}
