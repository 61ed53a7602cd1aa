import type { Attempt } from './attempt.ts'
import { DelegationError, isDelegationError } from './errors.ts'
import type { Member } from './member.ts'
import type { CheckedOptions } from './options.ts'
import { type Decision, type DelegationAttempt, decide, type OperationKind, type Policy } from './policy.ts'
import { checkRequest } from './request.ts'
import { keyOf, type Session, type SessionSnapshot } from './session.ts'
import { isCleanText, printable } from './text.ts'

/** What a member is asked for on behalf of a session. */
export interface Order {
  readonly member: Member
  readonly snapshot: SessionSnapshot
  readonly principal: string
  /** The validated request. */
  readonly request: unknown
  /** The cache key; undefined where the credential is not for reuse. */
  readonly key: string | undefined
}

/** What `member` is asked for; undefined where its mapping has no entry for the caller. */
export function prepare(
  options: CheckedOptions,
  attempt: Attempt,
  member: Member,
  snapshot: SessionSnapshot,
  input: unknown,
): Order | undefined {
  const { module } = member
  const { session } = snapshot
  attempt.type = module.type
  attempt.target = undefined
  attempt.principal = undefined
  const { value: request, key: canonical, target } = checkRequest(module, input)
  attempt.target = target
  if (session.kind !== 'user' && module.shared !== true)
    throw denied('a machine has no credential of its own for this target')
  const principal = principalOf(member, session, request)
  if (principal === undefined) return undefined
  attempt.principal = principal
  if (options.policy !== undefined) {
    const { tool, module: name } = attempt
    checkPolicy(options, { session, tool, module: name, type: module.type, target, principal })
  }
  if (module.shared !== true) member.principals.check(principal, session, module)
  const token = module.reuse === 'token' ? keyOf(session.id) : ''
  const key = module.reuse === 'never' ? undefined : member.prefix + snapshot.key + keyOf(principal, canonical) + token
  return { member, snapshot, principal, request, key }
}

function principalOf({ module }: Member, session: Session, request: unknown): string | undefined {
  let principal: unknown
  try {
    principal = module.principal(session, request)
  } catch (error) {
    if (isDelegationError(error) && error.code === 'ERR_DELEGATION_NO_IDENTITY') return undefined
    throw error
  }
  if (principal === undefined || isCleanText(principal, 255)) return principal
  throw denied('the mapping gave a malformed account name')
}

function checkPolicy(options: CheckedOptions, asked: DelegationAttempt): void {
  const decision = askPolicy(options, (policy) => policy.delegation(asked))
  if (decision.allowed) return
  const message = `the policy refused: ${printable(String(decision.reason), 200)}`
  const { scopes } = decision
  throw scopes === undefined ? denied(message) : new DelegationError('ERR_SESSION_SCOPE', message, { scopes })
}

/** The policy's answer; where the backends decide, yes. */
export function askPolicy({ policy, log }: CheckedOptions, question: (policy: Policy) => Decision): Decision {
  if (policy === undefined) return { allowed: true }
  return decide(
    () => question(policy),
    (error) => log.error({ err: error }, 'the policy failed'),
  )
}

/** @throws DelegationError where the policy does not let this call run now. */
export function checkLimit({ policy, log }: CheckedOptions, session: Session, kind: OperationKind, name: string): void {
  if (policy?.limit === undefined) return
  let retryAfter: unknown
  try {
    retryAfter = policy.limit({ session, kind, name })
    if (retryAfter === undefined) return
    if (!(retryAfter instanceof Date)) throw new TypeError('a policy must answer "limit" with a date or undefined')
  } catch (error) {
    log.error({ err: error }, 'the policy failed')
    throw new DelegationError('ERR_TOOL_DENIED', 'the policy refused: the policy failed')
  }
  throw new DelegationError('ERR_RATE_LIMITED', 'too many calls: wait before the next one', { retryAfter })
}

function denied(message: string): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message)
}
