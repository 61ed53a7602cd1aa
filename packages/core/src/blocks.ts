import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { type Identity, identityKey, type Session, snapshotOf } from './session.ts'

/** `ended`: this token, or its login session, was ended. `blocked`: this identity may not come back. */
export type Standing = 'good' | 'blocked' | 'ended'

/** Whom a block is about: an identity, every token of a login session, or one token. */
export type BlockTarget = Identity | { readonly sid: string } | { readonly id: string }

/** Who may not come back. Asked on every call, so `standing` is synchronous. */
export interface BlockStore {
  standing(session: Session): Standing
  /** Lasts until `until`, or until it is lifted where that is undefined. */
  block(who: BlockTarget, until: Date | undefined): Promise<void>
  unblock(who: Identity): Promise<void>
}

/** Blocks in the memory of this process: lost at restart, and unknown to other processes. */
export function memoryBlocks(options: { readonly clock?: Clock | undefined } = {}): BlockStore {
  const clock = options.clock ?? systemClock
  const identities = new Map<string, number>()
  const sids = new Map<string, number>()
  const ids = new Map<string, number>()
  const holds = (blocks: Map<string, number>, key: string): boolean => {
    if (blocks.size === 0) return false
    const until = blocks.get(key)
    if (until === undefined) return false
    if (clock.now() < until) return true
    blocks.delete(key)
    return false
  }
  return {
    standing(session) {
      const snapshot = snapshotOf(session)
      if (snapshot === undefined) return 'ended'
      const { identity, cover } = snapshot
      if (holds(identities, identity)) return 'blocked'
      if (holds(ids, cover.id) || (cover.sid !== undefined && holds(sids, cover.sid))) return 'ended'
      return 'good'
    },
    async block(who, until) {
      const [blocks, key] =
        'id' in who ? [ids, who.id] : 'sid' in who ? [sids, who.sid] : [identities, identityKey(who)]
      for (const [other, end] of blocks) {
        if (end > clock.now()) break
        blocks.delete(other)
      }
      blocks.set(key, until?.getTime() ?? Number.POSITIVE_INFINITY)
    },
    async unblock(who) {
      identities.delete(identityKey(who))
    },
  }
}
