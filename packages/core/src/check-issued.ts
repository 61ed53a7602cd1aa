import type { Clock } from './clock.ts'
import { DelegationError } from './errors.ts'
import type { IssuedCredential } from './module.ts'
import type { Session } from './session.ts'
import { isCleanText } from './text.ts'

/** @throws DelegationError `ERR_DELEGATION_PROTOCOL` for what a module may not issue to `session`. */
export function checkIssued(issued: IssuedCredential<unknown>, session: Session, clock: Clock): void {
  const broken = (what: string): DelegationError =>
    new DelegationError('ERR_DELEGATION_PROTOCOL', `the module issued ${what}`)
  if (issued === null || typeof issued !== 'object' || issued.value === undefined || issued.value === null)
    throw broken('no credential')
  if (!(issued.expiresAt instanceof Date) || Number.isNaN(issued.expiresAt.getTime()))
    throw broken('a credential without an expiry')
  if (issued.expiresAt.getTime() <= clock.now()) throw broken('an expired credential')
  if (issued.release !== undefined && typeof issued.release !== 'function')
    throw broken('a credential with a release that is not a function')
  for (const member of ['usable', 'lend'] as const)
    if (issued[member] !== undefined && typeof issued[member] !== 'function')
      throw broken(`a credential with a member "${member}" that is not a function`)
  if (issued.principal !== undefined && !isCleanText(issued.principal, 255))
    throw broken('a credential with a malformed principal')
  if (session.token !== undefined && holdsToken(issued.value, session.token.reveal()))
    throw broken("the caller's own token as a credential")
}

/** Whether a credential is the inbound token, bare or in a header, which must never reach a backend. */
function holdsToken(value: unknown, token: string, depth = 0): boolean {
  if (typeof value === 'string') return value === token || value.endsWith(` ${token}`)
  if (typeof value !== 'object' || value === null || depth > 2) return false
  if ('reveal' in value && typeof value.reveal === 'function') return holdsToken(value.reveal(), token, depth + 1)
  return Object.values(value).some((member) => holdsToken(member, token, depth + 1))
}
