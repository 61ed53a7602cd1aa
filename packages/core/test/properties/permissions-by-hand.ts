import type { Area, OperationRule, PermissionsOptions, ToolRule } from '../../src/permission-options.ts'
import type { DelegationAttempt, OperationKind } from '../../src/policy.ts'
import type { Session } from '../../src/session.ts'

/** What a policy decides: allowed, refused, or refused for scopes that are missing. */
export type Verdict = 'allowed' | 'refused' | { readonly scopes: readonly string[] }

type Options = PermissionsOptions<string>
type Use = OperationRule<string> & Pick<ToolRule<string>, 'delegates'>

/** A level of a session, as an index, and where it holds. */
export interface Held {
  readonly rank: number
  readonly area: Area
}

/** What the groups and roles of a session grant, one by one. Own properties only, compared letter by letter. */
export function heldBy({ levels, issuers }: Options, session: Session): Held[] {
  const held: Held[] = []
  if (!session.groupsComplete) return held
  for (const entry of issuers) {
    if (entry.issuer !== session.issuer) continue
    for (const group of session.groups) {
      const level = own(entry.groups, group)
      const grant = level === undefined ? entry.grammar?.read(group).grant : { level, area: [] }
      if (grant !== undefined) held.push({ rank: levels.indexOf(grant.level), area: grant.area })
    }
    for (const role of session.roles) {
      const level = own(entry.roles, role)
      if (level !== undefined) held.push({ rank: levels.indexOf(level), area: [] })
    }
  }
  return held
}

/** The highest level in an area, as an index; -1 for none. */
export function rankAt(held: readonly Held[], area: Area): number {
  let highest = -1
  for (const { rank, area: where } of held) {
    const inside = where.every((name, index) => area[index] === name)
    if (inside && rank > highest) highest = rank
  }
  return highest
}

/** Whether a session may use a tool, a resource or a prompt. */
export function judgeUse(options: Options, session: Session, kind: OperationKind, name: string): Verdict {
  const rule = ruleOf(options, kind, name)
  if (rule === undefined) return 'refused'
  const held = heldBy(options, session)
  const needed = options.levels.indexOf(rule.level)
  const has = rule.anywhere === true ? held.some(({ rank }) => rank >= needed) : rankAt(held, []) >= needed
  return has ? judgeScopes(options, session, rule.scopes ?? []) : 'refused'
}

/** Whether a session may have a credential. */
export function judgeDelegation(options: Options, attempt: DelegationAttempt): Verdict {
  const { session, tool, module, type, target, principal } = attempt
  if (tool !== undefined) {
    const use = judgeUse(options, session, 'tool', tool)
    if (use !== 'allowed') return use
    const delegates = ruleOf(options, 'tool', tool)?.delegates
    if (delegates !== undefined) {
      const targets = own(delegates, module)
      if (targets === undefined || (targets !== 'any' && !targets.includes(target))) return 'refused'
    }
  }
  const verdicts: Verdict[] = []
  for (const rule of options.delegations ?? []) {
    if (!rule.modules.includes(module)) continue
    if (rule.types !== undefined && !rule.types.includes(type)) continue
    if (rule.targets !== undefined && !rule.targets.includes(target)) continue
    if (rule.principals !== undefined && !rule.principals.includes(principal)) continue
    let area: Area = []
    try {
      if (rule.area !== undefined) area = rule.area(attempt)
    } catch {
      continue
    }
    if (rankAt(heldBy(options, session), area) < options.levels.indexOf(rule.level)) continue
    verdicts.push(judgeScopes(options, session, rule.scopes ?? []))
  }
  return verdicts.find((verdict) => verdict === 'allowed') ?? verdicts[0] ?? 'refused'
}

function judgeScopes({ scopeHierarchy = {} }: Options, session: Session, needed: readonly string[]): Verdict {
  const includes = (scope: string, wanted: string, passed: readonly string[]): boolean =>
    scope === wanted ||
    (!passed.includes(scope) &&
      (own(scopeHierarchy, scope) ?? []).some((inner) => includes(inner, wanted, [...passed, scope])))
  const missing = needed.some((wanted) => ![...session.scopes].some((scope) => includes(scope, wanted, [])))
  return missing ? { scopes: [...new Set(needed)] } : 'allowed'
}

function ruleOf({ tools, resources = {}, prompts = {} }: Options, kind: OperationKind, name: string): Use | undefined {
  const given = own<string | Use>({ tool: tools, resource: resources, prompt: prompts }[kind], name)
  return typeof given === 'string' ? { level: given } : given
}

function own<T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  for (const [key, value] of Object.entries(table ?? {})) if (key === name) return value
  return undefined
}
