import { checkMethods, isArea } from './checks.ts'
import { systemClock } from './clock.ts'
import { silentLog } from './log.ts'
import { unfailing } from './options.ts'
import { decideDelegation, decideUse } from './permission-decisions.ts'
import type { Area, Grant, PermissionsOptions } from './permission-options.ts'
import { checkPermissions, type PermissionRules, refusal } from './permission-rules.ts'
import type { Decision, OperationKind, Policy } from './policy.ts'
import { RateLimits } from './rate-limit.ts'
import { type Rights, rankIn, rightsOf } from './rights.ts'
import { type Session, type SessionSnapshot, snapshotOf } from './session.ts'

/** Why a caller may or may not use something. */
export interface Explanation<Level extends string> {
  readonly allowed: boolean
  /** One sentence for people. */
  readonly reason: string
  /** The level that it takes; undefined where nothing is said about it, so that it is denied. */
  readonly required: Level | undefined
  /** The caller's grants, the highest level for each area, and from which groups and roles they come. */
  readonly grants: readonly (Grant<Level> & { readonly from: readonly string[] })[]
  /** Groups and roles of the caller that grant nothing, with the reason. */
  readonly ignored: readonly { readonly name: string; readonly reason: string }[]
  /** The scopes that the token lacks. */
  readonly missingScopes: readonly string[]
}

/** What each level may use that the one below may not. */
export interface LevelSummary<Level extends string> {
  readonly level: Level
  readonly tools: readonly string[]
  readonly resources: readonly string[]
  readonly prompts: readonly string[]
  /** By issuer: the groups, the patterns of groups and the roles that grant it. */
  readonly grantedBy: readonly {
    readonly issuer: string
    readonly kind: 'group' | 'pattern' | 'role'
    readonly name: string
  }[]
}

/** A policy of levels. */
export interface Permissions<Level extends string> extends Required<Policy> {
  /** From the least to the most. */
  readonly levels: readonly Level[]
  /** The levels that a session has in the area, from the least to the most. Default: in the whole. */
  levelsOf(session: Session, area?: Area): readonly Level[]
  /** The highest of them; `undefined` where the session has none. */
  levelOf(session: Session, area?: Area): Level | undefined
  /** Where the session has which level, the highest for each area. */
  grantsOf(session: Session): readonly Grant<Level>[]
  /** The level that it takes; `undefined` where nothing is said about it, so that it is denied. */
  requiredLevel(name: string, kind?: OperationKind): Level | undefined
  explain(session: Session, name: string, kind?: OperationKind): Explanation<Level>
  summary(): readonly LevelSummary<Level>[]
}

const NO_SESSION = refusal('the session is not valid')
const NOTHING: Rights = {
  complete: false,
  scopes: new Set(),
  whole: -1,
  anywhere: -1,
  grants: new Map(),
  ignored: [],
}

/**
 * A policy of ordered levels: groups and roles grant them, in the whole or in an area; tools, resources, prompts and
 * credentials take them. What is not mapped is denied, and so is everything to a session whose groups are not all known.
 *
 * Each user begins with rate limits that are full, and what was used comes back evenly. They are counted in this process,
 * for the 100,000 users who have called last.
 * @throws TypeError naming the option that is wrong.
 */
export function permissions<const Level extends string>(options: PermissionsOptions<Level>): Permissions<Level> {
  const rules = checkPermissions(options)
  const { clock = systemClock, log: given = silentLog } = options
  checkMethods(clock, 'clock', ['now'])
  checkMethods(given, 'log', ['debug', 'info', 'warn', 'error'])
  const log = unfailing(given)
  const levels: readonly Level[] = Object.freeze([...options.levels])
  const limits = rules.limits.length + rules.toolLimits.size > 0 ? new RateLimits(clock) : undefined
  const known = new WeakMap<SessionSnapshot, Rights>()

  const rightsIn = (snapshot: SessionSnapshot): Rights => {
    let rights = known.get(snapshot)
    if (rights === undefined) {
      rights = rightsOf(rules, snapshot)
      known.set(snapshot, rights)
      const { ignored } = rights
      const { issuer, subject } = snapshot.session
      if (ignored.length > 0) log.debug({ issuer, subject, ignored }, 'groups and roles that grant nothing')
    }
    return rights
  }
  const rightsOfSession = (session: Session): Rights => {
    const snapshot = snapshotOf(session)
    return snapshot === undefined ? NOTHING : rightsIn(snapshot)
  }
  const use = (session: Session, kind: OperationKind, name: string): Decision => {
    const snapshot = snapshotOf(session)
    return snapshot === undefined ? NO_SESSION : decideUse(rules, rightsIn(snapshot), kind, name)
  }
  const levelsOf = (session: Session, area: Area = []): readonly Level[] =>
    isArea(area) ? levels.slice(0, rankIn(rightsOfSession(session), area) + 1) : []
  const requiredLevel = (name: string, kind: OperationKind = 'tool'): Level | undefined => {
    const rule = rules.operations[kind].get(name)
    return rule && levels[rule.rank]
  }

  return Object.freeze({
    levels,
    tool: ({ session, tool }) => use(session, 'tool', tool),
    resource: ({ session, resource }) => use(session, 'resource', resource),
    prompt: ({ session, prompt }) => use(session, 'prompt', prompt),
    delegation(attempt) {
      const snapshot = snapshotOf(attempt.session)
      return snapshot === undefined ? NO_SESSION : decideDelegation(rules, rightsIn(snapshot), attempt, log)
    },
    limit({ session, kind, name }) {
      const snapshot = snapshotOf(session)
      if (snapshot === undefined) throw new TypeError('"session" must be a session')
      return limits?.take(snapshot.identity, (kind === 'tool' ? rules.toolLimits.get(name) : undefined) ?? rules.limits)
    },
    levelsOf,
    levelOf: (session, area) => levelsOf(session, area).at(-1),
    grantsOf: (session) => grantsIn(rightsOfSession(session), levels).map(({ level, area }) => ({ level, area })),
    requiredLevel,
    explain(session, asked, kind = 'tool') {
      const rights = rightsOfSession(session)
      const required = requiredLevel(asked, kind)
      const decision = use(session, kind, asked)
      const grants = grantsIn(rights, levels)
      const needs = required === undefined ? [] : (rules.operations[kind].get(asked)?.scopes ?? [])
      return {
        allowed: decision.allowed,
        reason: decision.allowed
          ? `this ${kind} needs the level ${required}; the caller has ${inWords(grants)}`
          : rights.complete
            ? `${decision.reason}; the caller has ${inWords(grants)}`
            : decision.reason,
        required,
        grants,
        ignored: rights.ignored.map(({ name, reason }) => ({ name, reason })),
        missingScopes: needs.filter((scope) => !rules.hierarchy.covers(rights.scopes, [scope])),
      }
    },
    summary: () => summaryOf(rules, levels),
  } satisfies Permissions<Level>)
}

type ExplainedGrant<Level extends string> = Explanation<Level>['grants'][number]

function grantsIn<Level extends string>(
  { grants }: Rights,
  levels: readonly Level[],
): readonly ExplainedGrant<Level>[] {
  return [...grants.values()].map(({ rank, area, from }) => ({ level: levels[rank] as Level, area, from: [...from] }))
}

const MENTIONED = 5

function inWords(grants: readonly ExplainedGrant<string>[]): string {
  if (grants.length === 0) return 'no level'
  const words = grants
    .slice(0, MENTIONED)
    .map(
      ({ level, area, from }) => `${level}${area.length > 0 ? ` in ${area.join(' / ')}` : ''} from ${from.join(', ')}`,
    )
  if (grants.length > MENTIONED) words.push(`${grants.length - MENTIONED} more`)
  return words.join(' and ')
}

function summaryOf<Level extends string>(
  { operations, issuers }: PermissionRules,
  levels: readonly Level[],
): readonly LevelSummary<Level>[] {
  return levels.map((level, rank) => {
    const namesOf = (kind: OperationKind): readonly string[] =>
      [...operations[kind]].filter(([, rule]) => rule.rank === rank).map(([name]) => name)
    const grantedBy: LevelSummary<Level>['grantedBy'][number][] = []
    for (const [issuer, { groups, grammar, roles }] of issuers) {
      for (const [name, granted] of groups) if (granted === rank) grantedBy.push({ issuer, kind: 'group', name })
      for (const { pattern, level: granted } of grammar?.rules ?? [])
        if (granted === level) grantedBy.push({ issuer, kind: 'pattern', name: pattern })
      for (const [name, granted] of roles) if (granted === rank) grantedBy.push({ issuer, kind: 'role', name })
    }
    return { level, tools: namesOf('tool'), resources: namesOf('resource'), prompts: namesOf('prompt'), grantedBy }
  })
}
