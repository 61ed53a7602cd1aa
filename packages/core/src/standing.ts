import type { Standing } from './blocks.ts'
import { DelegationError } from './errors.ts'
import type { CheckedOptions } from './options.ts'
import type { SessionSnapshot } from './session.ts'

/**
 * Whether a session may be served, by the block store.
 * @throws DelegationError `ERR_DELEGATION_UNAVAILABLE` where the store can't tell.
 */
export function standingOf({ blocks }: CheckedOptions, { session, cover }: SessionSnapshot): Standing {
  if (cover.ended) return 'ended'
  let standing: Standing
  try {
    standing = blocks.standing(session)
  } catch (cause) {
    throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the block store failed', { cause })
  }
  if (standing === 'good' || standing === 'blocked' || standing === 'ended') return standing
  if ((standing as unknown) instanceof Promise) (standing as Promise<unknown>).catch(() => {})
  throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the block store gave no answer')
}

/** @throws DelegationError where this session may not be served, now. */
export function admit(options: CheckedOptions, snapshot: SessionSnapshot | undefined): SessionSnapshot {
  if (snapshot === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the session is not valid')
  const standing = standingOf(options, snapshot)
  if (standing === 'blocked') throw blocked()
  if (standing === 'ended') throw ended()
  if (options.clock.now() >= snapshot.cover.expiresAt)
    throw new DelegationError('ERR_SESSION_EXPIRED', 'the session has expired')
  return snapshot
}

export function blocked(): DelegationError {
  return new DelegationError('ERR_SESSION_BLOCKED', 'the user is blocked')
}

export function ended(): DelegationError {
  return new DelegationError('ERR_SESSION_INVALID', 'the session was ended')
}
