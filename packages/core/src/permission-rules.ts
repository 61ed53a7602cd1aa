import { checkMembers, checkObject, MAX_NAME_BYTES, nameList } from './checks.ts'
import type { GroupGrammar } from './group-grammar.ts'
import type {
  DelegationRule,
  IssuerPermissions,
  PermissionsOptions,
  RateLimit,
  ToolRule,
} from './permission-options.ts'
import type { Decision, DelegationAttempt, OperationKind } from './policy.ts'
import { type ScopeHierarchy, scopeHierarchy, scopeList } from './scopes.ts'
import { isCleanText } from './text.ts'

/** Levels are ranks here, from 0. */
type Ranks = ReadonlyMap<unknown, number>

/** What the names of one issuer grant. */
export interface IssuerRules {
  readonly groups: ReadonlyMap<string, number>
  readonly roles: ReadonlyMap<string, number>
  readonly grammar: GroupGrammar<string> | undefined
}

/** A policy's no. */
export type Refusal = Extract<Decision, { readonly allowed: false }>

/** What an operation takes, and the refusals that it may meet. */
export interface Requirement {
  readonly rank: number
  readonly scopes: readonly string[]
  readonly withoutLevel: Refusal
  readonly withoutScopes: Refusal
}

/** What it takes to call a tool, or to use a resource or a prompt. */
export interface CheckedOperation extends Requirement {
  readonly anywhere: boolean
  readonly onlyInPart: Refusal
  /** By module; undefined where every target will do, also as a whole. */
  readonly delegates: ReadonlyMap<string, ReadonlySet<string> | undefined> | undefined
}

/** What it takes to have a credential. An undefined set holds everything. */
export interface CheckedDelegation extends Requirement {
  readonly types: ReadonlySet<string> | undefined
  readonly targets: ReadonlySet<string> | undefined
  readonly principals: ReadonlySet<string> | undefined
  readonly area: ((attempt: DelegationAttempt) => unknown) | undefined
}

/** Options of `permissions`, checked and ready to be asked. */
export interface PermissionRules {
  readonly ranks: Ranks
  readonly issuers: ReadonlyMap<string, IssuerRules>
  readonly operations: Readonly<Record<OperationKind, ReadonlyMap<string, CheckedOperation>>>
  /** By module. */
  readonly delegations: ReadonlyMap<string, readonly CheckedDelegation[]>
  readonly hierarchy: ScopeHierarchy
  /** For the calls of a tool that has no limit of its own. */
  readonly limits: readonly RateLimit[]
  /** By tool, the common one included. */
  readonly toolLimits: ReadonlyMap<string, readonly RateLimit[]>
}

/** An attempt names its tool with no more. */
const MAX_TOOL_BYTES = 128
const MAX_CALLS = 1_000_000
const DAY = 86_400_000

/** @throws TypeError naming the option that is wrong. */
export function checkPermissions(options: PermissionsOptions<string>): PermissionRules {
  checkMembers(options, 'options', [
    'levels',
    'issuers',
    'tools',
    'resources',
    'prompts',
    'delegations',
    'scopeHierarchy',
    'rateLimits',
    'clock',
    'log',
  ])
  const ranks: Ranks = new Map(nameList(options.levels, 'levels').map((level, rank) => [level, rank]))
  const { resources = {}, prompts = {}, delegations = [], rateLimits = {} } = options
  const checkedDelegations = checkDelegations(delegations, ranks)
  const tools = checkOperations(options.tools, 'tool', ranks, checkedDelegations)
  return {
    ranks,
    issuers: checkIssuers(options.issuers, ranks),
    operations: {
      tool: tools,
      resource: checkOperations(resources, 'resource', ranks, checkedDelegations),
      prompt: checkOperations(prompts, 'prompt', ranks, checkedDelegations),
    },
    delegations: checkedDelegations,
    hierarchy: scopeHierarchy(options.scopeHierarchy),
    ...checkLimits(rateLimits, tools),
  }
}

function rankOf(level: unknown, option: string, ranks: Ranks): number {
  const rank = ranks.get(level)
  if (rank === undefined) throw new TypeError(`"${option}" must be one of the levels ${[...ranks.keys()].join(', ')}`)
  return rank
}

function checkIssuers(given: readonly IssuerPermissions<string>[], ranks: Ranks): ReadonlyMap<string, IssuerRules> {
  if (!Array.isArray(given) || given.length === 0) throw new TypeError('"issuers" must be a list of one issuer or more')
  const issuers = new Map<string, IssuerRules>()
  for (const [index, entry] of given.entries()) {
    const option = `issuers[${index}]`
    checkMembers(entry, option, ['issuer', 'groups', 'grammar', 'roles'])
    const { issuer, grammar } = entry
    if (!isCleanText(issuer, MAX_NAME_BYTES)) throw new TypeError(`"${option}.issuer" must be an issuer`)
    if (issuers.has(issuer)) throw new TypeError(`"${option}.issuer" has an entry already`)
    const groups = checkGrants(entry.groups, `${option}.groups`, ranks)
    const roles = checkGrants(entry.roles, `${option}.roles`, ranks)
    if (grammar !== undefined) checkGrammar(grammar, `${option}.grammar`, ranks)
    if (groups.size === 0 && roles.size === 0 && grammar === undefined)
      throw new TypeError(`"${option}" must have groups, roles or a grammar that grant something`)
    issuers.set(issuer, { groups, roles, grammar })
  }
  return issuers
}

function checkGrants(given: unknown, option: string, ranks: Ranks): ReadonlyMap<string, number> {
  if (given === undefined) return new Map()
  checkObject(given, option)
  return new Map(
    Object.entries(given).map(([name, level]) => {
      if (!isCleanText(name, MAX_NAME_BYTES)) throw new TypeError(`"${option}" must have names of groups or roles`)
      return [name, rankOf(level, `${option}.${name}`, ranks)]
    }),
  )
}

function checkGrammar(grammar: GroupGrammar<string>, option: string, ranks: Ranks): void {
  if (typeof grammar?.read !== 'function' || !Array.isArray(grammar.rules))
    throw new TypeError(`"${option}" must be a grammar`)
  for (const [index, { level }] of grammar.rules.entries()) rankOf(level, `${option}.rules[${index}].level`, ranks)
}

function requirement(level: string, scopes: unknown, option: string, ranks: Ranks, subject: string): Requirement {
  const checked = scopes === undefined ? [] : scopeList(scopes, `${option}.scopes`)
  return {
    rank: rankOf(level, `${option}.level`, ranks),
    scopes: checked,
    withoutLevel: refusal(`this ${subject} needs the level ${level}`),
    withoutScopes: refusal(
      `this ${subject} needs the ${checked.length > 1 ? 'scopes' : 'scope'} ${checked.join(', ')}`,
      checked,
    ),
  }
}

/** A refusal that is handed out again and again. */
export function refusal(reason: string, scopes?: readonly string[]): Refusal {
  return Object.freeze({ allowed: false, reason, ...(scopes && { scopes }) })
}

function checkOperations(
  given: PermissionsOptions<string>['tools'],
  kind: OperationKind,
  ranks: Ranks,
  delegations: PermissionRules['delegations'],
): ReadonlyMap<string, CheckedOperation> {
  const list = `${kind}s`
  const maxBytes = kind === 'tool' ? MAX_TOOL_BYTES : MAX_NAME_BYTES
  const members = ['level', 'anywhere', 'scopes', ...(kind === 'tool' ? ['delegates'] : [])]
  checkObject(given, list)
  return new Map(
    Object.entries(given).map(([name, value]) => {
      if (!isCleanText(name, maxBytes)) throw new TypeError(`"${list}" must have names of ${list}`)
      const option = `${list}.${name}`
      if (typeof value === 'string') rankOf(value, option, ranks)
      const rule: ToolRule<string> = typeof value === 'string' ? { level: value } : value
      checkMembers(rule, option, members)
      const { level, anywhere = false, scopes, delegates } = rule
      if (typeof anywhere !== 'boolean') throw new TypeError(`"${option}.anywhere" must be a boolean`)
      return [
        name,
        {
          ...requirement(level, scopes, option, ranks, kind),
          anywhere,
          onlyInPart: refusal(`this ${kind} needs the level ${level} in the whole, and not only in a part of it`),
          delegates:
            delegates === undefined ? undefined : checkDelegates(delegates, `${option}.delegates`, delegations),
        },
      ]
    }),
  )
}

function checkDelegates(
  given: NonNullable<ToolRule<string>['delegates']>,
  option: string,
  delegations: PermissionRules['delegations'],
): ReadonlyMap<string, ReadonlySet<string> | undefined> {
  checkObject(given, option)
  return new Map(
    Object.entries(given).map(([module, targets]) => {
      if (!delegations.has(module)) throw new TypeError(`"${option}.${module}" is a module of no delegation rule`)
      return [module, targets === 'any' ? undefined : new Set(nameList(targets, `${option}.${module}`))]
    }),
  )
}

function checkDelegations(
  given: readonly DelegationRule<string>[],
  ranks: Ranks,
): ReadonlyMap<string, readonly CheckedDelegation[]> {
  if (!Array.isArray(given)) throw new TypeError('"delegations" must be a list of rules')
  const delegations = new Map<string, CheckedDelegation[]>()
  for (const [index, rule] of given.entries()) {
    const option = `delegations[${index}]`
    checkMembers(rule, option, ['modules', 'types', 'targets', 'principals', 'level', 'area', 'scopes'])
    const { types, targets, principals, level, area, scopes } = rule
    if (area !== undefined && typeof area !== 'function') throw new TypeError(`"${option}.area" must be a function`)
    const names = (list: unknown, name: string): ReadonlySet<string> | undefined =>
      list === undefined ? undefined : new Set(nameList(list, `${option}.${name}`))
    const checked: CheckedDelegation = {
      ...requirement(level, scopes, option, ranks, 'credential'),
      types: names(types, 'types'),
      targets: names(targets, 'targets'),
      principals: names(principals, 'principals'),
      area,
    }
    for (const module of nameList(rule.modules, `${option}.modules`))
      delegations.set(module, [...(delegations.get(module) ?? []), checked])
  }
  // The one that takes least comes first: where none allows, its refusal is the one to show.
  for (const rules of delegations.values()) rules.sort((a, b) => a.rank - b.rank)
  return delegations
}

function checkLimits(
  given: NonNullable<PermissionsOptions<string>['rateLimits']>,
  known: ReadonlyMap<string, unknown>,
): Pick<PermissionRules, 'limits' | 'toolLimits'> {
  checkMembers(given, 'rateLimits', ['all', 'tools'])
  const { all, tools = {} } = given
  const limits = all === undefined ? [] : [checkLimit(all, 'rateLimits.all')]
  checkObject(tools, 'rateLimits.tools')
  const toolLimits = new Map(
    Object.entries(tools).map(([name, limit]) => {
      const option = `rateLimits.tools.${name}`
      if (!known.has(name)) throw new TypeError(`"${option}" is none of the tools`)
      return [name, [...limits, checkLimit(limit, option)]]
    }),
  )
  return { limits, toolLimits }
}

function checkLimit(limit: RateLimit, option: string): RateLimit {
  checkMembers(limit, option, ['calls', 'per'])
  const { calls, per } = limit
  if (!(Number.isSafeInteger(calls) && calls >= 1 && calls <= MAX_CALLS))
    throw new TypeError(`"${option}.calls" must be an integer from 1 to ${MAX_CALLS}`)
  if (!(Number.isSafeInteger(per) && per >= 1 && per <= DAY))
    throw new TypeError(`"${option}.per" must be a whole number of milliseconds from 1 to ${DAY}`)
  return { calls, per }
}
