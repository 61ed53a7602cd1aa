import { DelegationError, type Session } from '@mcp-delegation/core'

/** What is known of the refused logins of users. */
export interface Refusals {
  /** @throws DelegationError where the session's login was refused so lately that Vault is not asked again yet. */
  check(session: Session, now: number): void
  /** Notes a refusal, and returns what it means. */
  refused(session: Session, now: number, cause: Error): DelegationError
  accepted(session: Session): void
  readonly size: number
}

interface Refusal {
  readonly firstAt: number
  readonly latestAt: number
  /** Of the tokens that were refused, the latest last. */
  readonly sessions: readonly string[]
  readonly backoff: number
  readonly cause: Error
}

/** How long a refusal is taken for an outage of the issuer's keys, in milliseconds. */
const OUTAGE = 30_000
const BACKOFF = 1_000
const MAX_BACKOFF = 15_000
/** A refusal after so long is the first of its own trouble. */
const MEMORY = 120_000
const MAX_ENTRIES = 10_000
const MAX_SESSIONS = 8

/** Bounded: the user who was refused longest ago is forgotten for a new one. */
export function createRefusals(max: number = MAX_ENTRIES): Refusals {
  const table = new Map<string, Refusal>()
  const keyOf = ({ issuer, subject }: Session): string => JSON.stringify([issuer, subject])
  const known = (session: Session, now: number): Refusal | undefined => {
    const entry = table.get(keyOf(session))
    return entry !== undefined && now < entry.latestAt + MEMORY ? entry : undefined
  }
  return {
    check(session, now) {
      const entry = known(session, now)
      // Another token of the user is another question.
      if (entry?.sessions.includes(session.id) && now < entry.latestAt + entry.backoff) throw meaning(entry, now)
    },
    refused(session, now, cause) {
      const key = keyOf(session)
      const former = known(session, now)
      const backoff = former === undefined ? BACKOFF : Math.min(former.backoff * 2, MAX_BACKOFF)
      const firstAt = former?.firstAt ?? now
      const others = former?.sessions.filter((id) => id !== session.id) ?? []
      const sessions = [...others, session.id].slice(-MAX_SESSIONS)
      const entry = { firstAt, latestAt: now, sessions, backoff, cause }
      table.delete(key)
      for (const oldest of table.keys()) {
        if (table.size < max) break
        table.delete(oldest)
      }
      table.set(key, entry)
      return meaning(entry, now)
    },
    accepted(session) {
      table.delete(keyOf(session))
    },
    get size() {
      return table.size
    },
  }
}

function meaning({ firstAt, latestAt, backoff, cause }: Refusal, now: number): DelegationError {
  if (now - firstAt < OUTAGE) {
    const message = 'Vault does not accept the token of the session at the moment'
    const retryAfter = new Date(latestAt + backoff)
    return new DelegationError('ERR_DELEGATION_UNAVAILABLE', message, { cause, retryAfter })
  }
  const message = 'Vault does not accept the token of the session: its role or its keys do not fit'
  return new DelegationError('ERR_DELEGATION_PROTOCOL', message, { cause })
}
