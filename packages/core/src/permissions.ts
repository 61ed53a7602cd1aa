import type { Area, Grant } from './permission-options.ts'
import type { OperationKind, Policy } from './policy.ts'
import type { Session } from './session.ts'

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
  /** By issuer: the groups and roles that grant it. */
  readonly grantedBy: readonly { readonly issuer: string; readonly name: string }[]
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
