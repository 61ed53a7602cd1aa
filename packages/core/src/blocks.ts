import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { type Identity, identityKey, keyOf, type Session, snapshotOf } from './session.ts'

/** `ended`: this token, or its login session, was ended. `blocked`: this identity may not come back. */
export type Standing = 'good' | 'blocked' | 'ended'

/** A login session, by the `sid` of its tokens; without an issuer, of any issuer. */
export interface LoginSession {
  readonly sid: string
  readonly issuer?: string | undefined
}

/** Whom a block is about: an identity, every token of a login session, or one token. */
export type BlockTarget = Identity | LoginSession | { readonly id: string }

/** Who may not come back. Asked on every call, so `standing` is synchronous. */
export interface BlockStore {
  /** Where `block` has resolved, the answer shows it. */
  standing(session: Session): Standing
  /** Lasts until `until`, or until it is lifted where that is undefined. */
  block(who: BlockTarget, until: Date | undefined): Promise<void>
  unblock(who: Identity): Promise<void>
}

/** How many blocks of one sort are kept before those that are over are looked for. */
const PRUNE_FROM = 1_024

/** Blocks in the memory of this process: lost at restart, and unknown to other processes. */
export function memoryBlocks(options: { readonly clock?: Clock | undefined } = {}): BlockStore {
  const clock = options.clock ?? systemClock
  const identities = new Blocks(clock)
  const sids = new Blocks(clock)
  const ids = new Blocks(clock)
  return {
    standing(session) {
      const snapshot = snapshotOf(session)
      if (snapshot === undefined) return 'ended'
      const { identity, cover } = snapshot
      if (identities.holds(identity)) return 'blocked'
      if (ids.holds(cover.id)) return 'ended'
      const { sid, issuer } = cover
      if (sid !== undefined && (sids.holds(keyOf(sid)) || sids.holds(keyOf(sid, issuer)))) return 'ended'
      return 'good'
    },
    async block(who, until) {
      if ('id' in who) ids.add(who.id, until)
      else if ('sid' in who) sids.add(who.issuer === undefined ? keyOf(who.sid) : keyOf(who.sid, who.issuer), until)
      else identities.add(identityKey(who), until)
    },
    async unblock(who) {
      identities.delete(identityKey(who))
    },
  }
}

class Blocks {
  readonly #clock: Clock
  readonly #until = new Map<string, number>()
  #pruneAt = PRUNE_FROM

  constructor(clock: Clock) {
    this.#clock = clock
  }

  holds(key: string): boolean {
    if (this.#until.size === 0) return false
    const until = this.#until.get(key)
    return until !== undefined && this.#clock.now() < until
  }

  add(key: string, until: Date | undefined): void {
    if (this.#until.size >= this.#pruneAt) this.#prune()
    const end = until?.getTime() ?? Number.NaN
    this.#until.set(key, Number.isNaN(end) ? Number.POSITIVE_INFINITY : end)
  }

  delete(key: string): void {
    this.#until.delete(key)
  }

  #prune(): void {
    const now = this.#clock.now()
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key)
    this.#pruneAt = Math.max(PRUNE_FROM, 2 * this.#until.size)
  }
}
