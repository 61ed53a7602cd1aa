import { isArea } from './checks.ts'
import type { Logger } from './log.ts'
import type { Area } from './permission-options.ts'
import {
  type CheckedDelegation,
  type CheckedOperation,
  type PermissionRules,
  type Refusal,
  refusal,
} from './permission-rules.ts'
import type { Decision, DelegationAttempt, OperationKind } from './policy.ts'
import { type Rights, rankIn, WHOLE } from './rights.ts'

const ALLOWED: Decision = Object.freeze({ allowed: true })
const INCOMPLETE = refusal('the groups of this user are not all known')
const NO_RULE = refusal('no rule allows this credential')
const NOT_FOR_TOOL = refusal('this tool may not have this credential')
const NO_AREA = refusal('it is not known where this credential takes effect')
const UNMAPPED: Readonly<Record<OperationKind, Refusal>> = {
  tool: refusal('this tool has no level, so that nobody may call it'),
  resource: refusal('this resource has no level, so that nobody may read it'),
  prompt: refusal('this prompt has no level, so that nobody may get it'),
}

/** May somebody with these rights use this? */
export function decideUse(rules: PermissionRules, rights: Rights, kind: OperationKind, name: string): Decision {
  if (!rights.complete) return INCOMPLETE
  const rule = rules.operations[kind].get(name)
  if (rule === undefined) return UNMAPPED[kind]
  const rank = rule.anywhere ? rights.anywhere : rights.whole
  if (rank < rule.rank) return rights.anywhere < rule.rank ? rule.withoutLevel : rule.onlyInPart
  return rules.hierarchy.covers(rights.scopes, rule.scopes) ? ALLOWED : rule.withoutScopes
}

/** May somebody with these rights have this credential? The tool that asks, where it is known, narrows that further. */
export function decideDelegation(
  rules: PermissionRules,
  rights: Rights,
  attempt: DelegationAttempt,
  log: Logger,
): Decision {
  if (!rights.complete) return INCOMPLETE
  if (attempt.tool !== undefined) {
    const use = decideUse(rules, rights, 'tool', attempt.tool)
    if (!use.allowed) return use
    if (!mayAskFor(rules.operations.tool.get(attempt.tool), attempt)) return NOT_FOR_TOOL
  }
  let refused = NO_RULE
  for (const rule of rules.delegations.get(attempt.module) ?? []) {
    if (!isAbout(rule, attempt)) continue
    const decision = decideRule(rules, rights, rule, attempt, log)
    if (decision.allowed) return decision
    // Of several refusals, the first one that more scopes would help against says most.
    if (refused === NO_RULE || (refused.scopes === undefined && decision.scopes !== undefined)) refused = decision
  }
  return refused
}

function mayAskFor(tool: CheckedOperation | undefined, { module, target }: DelegationAttempt): boolean {
  const delegates = tool?.delegates
  if (delegates === undefined) return true
  return delegates.has(module) && delegates.get(module)?.has(target) !== false
}

function isAbout({ types, targets, principals }: CheckedDelegation, attempt: DelegationAttempt): boolean {
  return (
    types?.has(attempt.type) !== false &&
    targets?.has(attempt.target) !== false &&
    principals?.has(attempt.principal) !== false
  )
}

function decideRule(
  rules: PermissionRules,
  rights: Rights,
  rule: CheckedDelegation,
  attempt: DelegationAttempt,
  log: Logger,
): Decision {
  const area = rule.area === undefined ? WHOLE : areaOf(rule.area, attempt, log)
  if (area === undefined) return NO_AREA
  if (rankIn(rights, area) < rule.rank) return rule.withoutLevel
  return rules.hierarchy.covers(rights.scopes, rule.scopes) ? ALLOWED : rule.withoutScopes
}

function areaOf(
  ask: (attempt: DelegationAttempt) => unknown,
  attempt: DelegationAttempt,
  log: Logger,
): Area | undefined {
  try {
    const area = ask(attempt)
    if (area instanceof Promise) area.catch(() => {})
    if (isArea(area)) return area
    throw new TypeError('an area must be a list of names')
  } catch (error) {
    log.error({ err: error, module: attempt.module }, 'the area of a delegation rule failed')
    return undefined
  }
}
