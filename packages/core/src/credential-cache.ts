import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.ts'
import type { DelegationError } from './errors.ts'
import { Lease, leaseEnd } from './lease.ts'
import { type Loan, OpenLoan } from './loan.ts'
import type { Logger } from './log.ts'
import type { IssuedCredential, ReleaseReason } from './module.ts'
import type { Cover, SessionSnapshot } from './session.ts'
import { blocked, ended } from './standing.ts'
import { inOnePiece } from './text.ts'
import { within } from './within.ts'

/** What a module's credentials are counted in. */
export interface Counters {
  entries: number
  leases: number
  hits: number
  misses: number
  refusals: number
}

/** An issued credential, from its issue to its release. */
export interface Entry {
  /** Undefined where the credential is not for reuse. */
  readonly key: string | undefined
  readonly identity: string
  readonly type: string
  /** Whom the backend sees. */
  readonly principal: string
  readonly issued: IssuedCredential<unknown>
  readonly counters: Counters
  /** Later than at first where the module has renewed it. */
  expiresAt: number
  /** From when a call refreshes it; moved on by each attempt. */
  refreshAt: number
  /** The sessions that it served, and how many leases each has open. */
  readonly holders: Map<Cover, number>
  /** When the last of them expires; it is dropped soon after. */
  coveredUntil: number
  openLeases: number
  /** What leases that have not ended were lent; undefined where the module doesn't lend. */
  loans: Set<OpenLoan> | undefined
  /** Until everybody who waits for it has a lease; not released before. */
  held: boolean
  lastUse: number
  dropped: ReleaseReason | undefined
  released: boolean
  /** Released because the identity was blocked. */
  blocked: boolean
  /** A record says that it was issued. */
  announced: boolean
}

/** What {@link CredentialCache.add} needs to know. */
export interface NewEntry extends Pick<Entry, 'key' | 'type' | 'principal' | 'issued' | 'counters' | 'expiresAt'> {
  readonly snapshot: SessionSnapshot
  /** The module can't extend it beyond. */
  readonly latest: number
}

/** Limits of the cache; times in milliseconds. */
export interface CacheLimits {
  readonly max: number
  readonly maxPerUser: number
  /** How long an entry outlives the last session that it served. */
  readonly coverGrace: number
  /** How long a forgotten lease may delay a release beyond its own end. */
  readonly leaseGrace: number
  readonly releaseDeadline: number
  /** An invalidation is heeded once per key in this time. */
  readonly invalidateInterval: number
  readonly maxSweep: number
}

/** Of how many keys the last invalidation is remembered. */
const MAX_INVALIDATED = 100_000

/** From when a call refreshes an entry. Jitter, so that what was issued together is not refreshed together. */
function refreshTime(now: number, expiresAt: number): number {
  return now + (expiresAt - now) * (0.75 + Math.random() * 0.1)
}

/**
 * When the last live session expires that an entry serves: of a dropped one, only where it holds a lease; of one whose
 * callers have none yet, the session it was issued for counts.
 */
function coveredUntil({ released, held, dropped, holders }: Entry, first: Cover): number {
  let until = Number.NEGATIVE_INFINITY
  if (released) return until
  if (held && !first.ended) until = first.expiresAt
  for (const [cover, open] of holders)
    if (!cover.ended && (dropped === undefined || open > 0)) until = Math.max(until, cover.expiresAt)
  return until
}

interface User {
  readonly entries: Set<Entry>
  cached: number
}

/** Issued credentials, the leases on them, and their release: exactly once, after the last lease. */
export class CredentialCache {
  readonly #limits: CacheLimits
  readonly #clock: Clock
  readonly #log: Logger
  readonly #cached: LRUCache<string, Entry>
  /** Everything that is not released yet, by identity. */
  readonly #users = new Map<string, User>()
  /** Dropped, and waiting for leases to end. */
  readonly #lingering = new Set<Entry>()
  /** When each key was invalidated last, the oldest first. */
  readonly #invalidated = new Map<string, number>()
  readonly #releases = new Set<Promise<void>>()
  #cursor: Iterator<Entry | undefined> | undefined
  #uses = 0

  constructor(limits: CacheLimits, clock: Clock, log: Logger) {
    this.#limits = limits
    this.#clock = clock
    this.#log = log
    this.#cached = new LRUCache({
      max: limits.max,
      dispose: (entry, _key, reason) => {
        if (reason === 'evict') this.#dropped(entry, 'evicted')
      },
    })
  }

  /** How many credentials are cached. */
  get size(): number {
    return this.#cached.size
  }

  /** The valid entry of `key`. */
  get(key: string, now: number): Entry | undefined {
    const entry = this.#cached.get(key)
    if (entry === undefined) return undefined
    if (this.#isStale(entry, now)) {
      this.drop(entry, 'expired')
      return undefined
    }
    if (!this.#isUsable(entry)) {
      this.drop(entry, 'invalidated')
      return undefined
    }
    entry.lastUse = ++this.#uses
    return entry
  }

  /** Takes over an issued credential, and holds it until {@link endHold}; an older one of the same key is replaced. */
  add(entry: NewEntry): Entry {
    const { identity } = entry.snapshot
    // Field by field: a spread makes a slow object, four times as large.
    const added: Entry = {
      key: entry.key === undefined ? undefined : inOnePiece(entry.key),
      identity,
      type: entry.type,
      principal: entry.principal,
      issued: entry.issued,
      counters: entry.counters,
      expiresAt: entry.expiresAt,
      refreshAt: refreshTime(this.#clock.now(), entry.expiresAt),
      holders: new Map(),
      coveredUntil: Number.NEGATIVE_INFINITY,
      openLeases: 0,
      loans: undefined,
      held: true,
      lastUse: ++this.#uses,
      dropped: entry.key === undefined ? 'disposed' : undefined,
      released: false,
      blocked: false,
      announced: false,
    }
    const user = this.#users.get(identity) ?? { entries: new Set(), cached: 0 }
    this.#users.set(identity, user)
    user.entries.add(added)
    if (entry.issued.retained !== undefined) this.#retain(added, entry)
    if (added.key === undefined) {
      this.#lingering.add(added)
      return added
    }
    const older = this.#cached.peek(added.key)
    if (older !== undefined) this.drop(older, 'replaced')
    user.cached++
    added.counters.entries++
    this.#cached.set(added.key, added)
    if (user.cached > this.#limits.maxPerUser) this.#evictOf(user, added)
    return added
  }

  /** Everybody who waited for `entry` has a lease. */
  endHold(entry: Entry): void {
    entry.held = false
    if (entry.holders.size === 0) this.drop(entry, 'aborted')
    void this.#releaseUnused(entry)
  }

  /** A lease on `entry` for the session that asked. The caller has made sure that both are valid. */
  lease(entry: Entry, snapshot: SessionSnapshot): Lease {
    const { cover } = snapshot
    const open = entry.holders.get(cover)
    if (open === undefined) {
      if (cover.expiresAt > entry.coveredUntil) entry.coveredUntil = cover.expiresAt
      if (entry.holders.size % 64 === 63) this.#forgetHolders(entry)
    }
    entry.holders.set(cover, (open ?? 0) + 1)
    entry.openLeases++
    entry.counters.leases++
    return new Lease(this, entry, snapshot)
  }

  /** What a lease on `entry`, which is not released, lends to its holder until {@link endLoan}. */
  lend(entry: Entry, snapshot: SessionSnapshot, expiresAt: number, recordExport: Loan['recordExport']): OpenLoan {
    const timeLeft = expiresAt - this.#clock.now()
    const loan = new OpenLoan(snapshot, expiresAt, timeLeft, recordExport, (expired) => this.endLoan(entry, expired))
    entry.loans ??= new Set()
    entry.loans.add(loan)
    return loan
  }

  endLoan(entry: Entry, loan: OpenLoan, refusal?: DelegationError): void {
    entry.loans?.delete(loan)
    loan.end(refusal)
  }

  /** Ends a lease; where that causes a release, resolves when it is done. */
  endLease(entry: Entry, cover: Cover): Promise<void> | undefined {
    const open = entry.holders.get(cover)
    if (open === undefined || open === 0) return undefined
    entry.holders.set(cover, open - 1)
    entry.openLeases--
    entry.counters.leases--
    return this.#releaseUnused(entry)
  }

  /** Takes `entry` out of the cache; it is released when its last lease has ended. */
  drop(entry: Entry, reason: ReleaseReason): void {
    if (entry.key === undefined || entry.dropped !== undefined) return
    if (this.#cached.peek(entry.key) === entry) this.#cached.delete(entry.key)
    this.#dropped(entry, reason)
  }

  /** The backend refused this credential: drops it, once per key and interval. */
  invalidate(entry: Entry): void {
    if (entry.key === undefined || entry.dropped !== undefined) return
    const now = this.#clock.now()
    for (const [key, at] of this.#invalidated) {
      const recent = Math.abs(now - at) < this.#limits.invalidateInterval
      if (recent && this.#invalidated.size < MAX_INVALIDATED) break
      this.#invalidated.delete(key)
    }
    const last = this.#invalidated.get(entry.key)
    if (last !== undefined && Math.abs(now - last) < this.#limits.invalidateInterval) return
    this.#invalidated.delete(entry.key)
    this.#invalidated.set(entry.key, now)
    this.drop(entry, 'invalidated')
  }

  /** Releases everything of an identity at once, without waiting for leases. */
  revoke(identity: string): number {
    const entries = [...(this.#users.get(identity)?.entries ?? [])]
    for (const entry of entries) {
      entry.blocked = true
      this.#revoke(entry)
    }
    return entries.length
  }

  /** Ends the sessions that match; what no other live session covers is released at once. */
  endSessions(matches: (cover: Cover) => boolean): number {
    const now = this.#clock.now()
    let credentials = 0
    for (const { entries } of [...this.#users.values()])
      for (const entry of [...entries]) {
        let hadEnded = false
        let coveredUntil = Number.NEGATIVE_INFINITY
        for (const cover of entry.holders.keys()) {
          if (matches(cover)) {
            cover.ended = true
            hadEnded = true
          }
          if (!cover.ended) coveredUntil = Math.max(coveredUntil, cover.expiresAt)
        }
        if (!hadEnded) continue
        for (const loan of entry.loans ?? []) if (loan.cover.ended) this.endLoan(entry, loan, ended())
        entry.coveredUntil = coveredUntil
        if (coveredUntil > now) continue
        this.#revoke(entry)
        credentials++
      }
    return credentials
  }

  /** Drops what has expired and releases what forgotten leases still hold; a bounded amount per call. */
  sweep(): void {
    const now = this.#clock.now()
    this.#cursor ??= this.#cached.rvalues()
    for (let count = 0; count < this.#limits.maxSweep; count++) {
      const { done, value } = this.#cursor.next()
      if (done === true) {
        this.#cursor = undefined
        break
      }
      if (value !== undefined && this.#isStale(value, now)) this.drop(value, 'expired')
    }
    let count = Math.min(this.#lingering.size, this.#limits.maxSweep)
    for (const entry of this.#lingering) {
      if (count-- === 0) break
      // Moved behind the others, so that the next sweep goes on after it.
      this.#lingering.delete(entry)
      this.#lingering.add(entry)
      this.#forgetLeases(entry, now)
    }
  }

  /** Releases everything, and resolves when that is done. */
  async dispose(): Promise<void> {
    for (const { entries } of [...this.#users.values()])
      for (const entry of [...entries]) {
        this.drop(entry, 'disposed')
        void this.#release(entry, entry.dropped ?? 'disposed')
      }
    await Promise.all(this.#releases)
  }

  /** Gives back what was issued but can't be used: its caller has gone, or it came too late. */
  discard(issued: IssuedCredential<unknown>): void {
    void this.#giveBack(issued, 'aborted')
  }

  #retain(entry: Entry, { issued, latest, snapshot }: NewEntry): void {
    const clock = this.#clock
    try {
      issued.retained?.({
        get coveredUntil() {
          const until = coveredUntil(entry, snapshot.cover)
          return until > clock.now() ? new Date(until) : undefined
        },
        extend: (until) => {
          const now = clock.now()
          const expiresAt = Math.min(until.getTime(), latest)
          if (entry.released || now >= entry.expiresAt || !(expiresAt > entry.expiresAt)) return
          entry.expiresAt = expiresAt
          entry.refreshAt = refreshTime(now, expiresAt)
        },
      })
    } catch (error) {
      this.#log.error({ err: error }, 'a module failed at a credential that was kept')
    }
  }

  #isStale(entry: Entry, now: number): boolean {
    return now >= entry.expiresAt || (!entry.held && now >= entry.coveredUntil + this.#limits.coverGrace)
  }

  #isUsable({ issued }: Entry): boolean {
    if (issued.usable === undefined) return true
    try {
      return issued.usable()
    } catch (error) {
      this.#log.error({ err: error }, 'a module could not say whether its credential is usable')
      return false
    }
  }

  #evictOf(user: User, added: Entry): void {
    let oldest: Entry | undefined
    for (const entry of user.entries)
      if (entry.dropped === undefined && entry !== added && (oldest === undefined || entry.lastUse < oldest.lastUse))
        oldest = entry
    if (oldest !== undefined) this.drop(oldest, 'evicted')
  }

  #dropped(entry: Entry, reason: ReleaseReason): void {
    entry.dropped = reason
    entry.counters.entries--
    const user = this.#users.get(entry.identity)
    if (user !== undefined) user.cached--
    this.#lingering.add(entry)
    void this.#releaseUnused(entry)
  }

  #revoke(entry: Entry): void {
    this.drop(entry, 'revoked')
    entry.dropped = 'revoked'
    void this.#release(entry, 'revoked')
  }

  #forgetHolders(entry: Entry): void {
    const now = this.#clock.now()
    for (const [cover, open] of entry.holders) if (open === 0 && cover.expiresAt <= now) entry.holders.delete(cover)
  }

  #forgetLeases(entry: Entry, now: number): void {
    for (const [cover, open] of entry.holders)
      if (now >= leaseEnd(entry, cover) + this.#limits.leaseGrace) {
        entry.holders.delete(cover)
        entry.openLeases -= open
        entry.counters.leases -= open
      }
    void this.#releaseUnused(entry)
  }

  #releaseUnused(entry: Entry): Promise<void> | undefined {
    if (entry.dropped === undefined || entry.held || entry.openLeases > 0) return undefined
    return this.#release(entry, entry.dropped)
  }

  #release(entry: Entry, reason: ReleaseReason): Promise<void> {
    if (entry.released) return Promise.resolve()
    entry.released = true
    entry.counters.leases -= entry.openLeases
    entry.openLeases = 0
    entry.holders.clear()
    for (const loan of entry.loans ?? []) this.endLoan(entry, loan, entry.blocked ? blocked() : undefined)
    this.#lingering.delete(entry)
    const user = this.#users.get(entry.identity)
    if (user?.entries.delete(entry) === true && user.entries.size === 0) this.#users.delete(entry.identity)
    return this.#giveBack(entry.issued, reason)
  }

  #giveBack(issued: IssuedCredential<unknown>, reason: ReleaseReason): Promise<void> {
    if (issued.release === undefined) return Promise.resolve()
    // Not before the cache is in order again: a release may call the registry.
    const done = Promise.resolve()
      .then(() =>
        within(this.#limits.releaseDeadline, undefined, async (signal) => issued.release?.(reason, { signal })),
      )
      .catch((error: unknown) => this.#log.error({ err: error, reason }, 'a credential could not be released'))
      .finally(() => this.#releases.delete(done))
    this.#releases.add(done)
    return done
  }
}
