import type { Session } from './session.ts'

/** A policy's answer. A refusal with `scopes` tells the client which ones would be enough. */
export type Decision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly reason: string; readonly scopes?: readonly string[] | undefined }

/** Asked on every call, before the cache; synchronous. A policy that throws, or answers anything else, refuses. */
export interface Policy {
  /** May this session call this tool? */
  tool(call: { readonly session: Session; readonly tool: string }): Decision
  /** May this session have a credential of `principal` for `target` from this module? */
  delegation(attempt: DelegationAttempt): Decision
  /** May this session read this resource, by the name under which it is registered? Default: none may be read. */
  resource?(call: { readonly session: Session; readonly resource: string }): Decision
  /** May this session get this prompt? Default: none may be had. */
  prompt?(call: { readonly session: Session; readonly prompt: string }): Decision
  /**
   * Counts a call of a tool, a reading of a resource or a use of a prompt that is about to run, once: the instant from which the caller may call again where this is
   * one call too many, `undefined` where it may run. A policy that throws here, or answers anything else, refuses. Default:
   * no limit.
   */
  limit?(call: { readonly session: Session; readonly kind: OperationKind; readonly name: string }): Date | undefined
}

/** What a policy decides about besides credentials. */
export type OperationKind = 'tool' | 'resource' | 'prompt'

/** What a policy is asked about. */
export interface DelegationAttempt {
  readonly session: Session
  /** The tool that asks, where the adapter knows it. */
  readonly tool: string | undefined
  /** The name under which the module is registered. */
  readonly module: string
  /** The module's `type`. */
  readonly type: string
  readonly target: string
  readonly principal: string
}

/** Every verified user may call every tool, and the backends enforce. */
export type BackendDecides = 'backend-decides'

const ALLOWED: Decision = Object.freeze({ allowed: true })

/** The policy's answer about an operation. What it has no member for is refused. */
export function decideOperation(policy: Policy, session: Session, kind: OperationKind, name: string): Decision {
  if (kind === 'tool') return policy.tool({ session, tool: name })
  if (kind === 'resource' && policy.resource !== undefined) return policy.resource({ session, resource: name })
  if (kind === 'prompt' && policy.prompt !== undefined) return policy.prompt({ session, prompt: name })
  return { allowed: false, reason: `the policy allows no ${kind}s` }
}

/** Asks `question`; whatever is not a well-formed permission is a refusal. */
export function decide(question: () => Decision, onError: (error: unknown) => void): Decision {
  try {
    const decision: unknown = question()
    if (decision instanceof Promise) decision.catch(() => {})
    const { allowed, reason, scopes } = (decision ?? {}) as {
      readonly [name in 'allowed' | 'reason' | 'scopes']?: unknown
    }
    if (allowed === true) return ALLOWED
    if (allowed === false) return { allowed, reason: String(reason ?? 'no reason given'), scopes: scopesOf(scopes) }
    onError(new TypeError('a policy must synchronously return { allowed: true } or { allowed: false, reason }'))
  } catch (error) {
    onError(error)
  }
  return { allowed: false, reason: 'the policy failed' }
}

/** Scopes that a client can ask for; undefined where more scopes would not help. */
function scopesOf(scopes: unknown): readonly string[] | undefined {
  if (!Array.isArray(scopes)) return undefined
  const named = scopes.filter((scope): scope is string => typeof scope === 'string' && scope !== '')
  return named.length === 0 ? undefined : named
}
