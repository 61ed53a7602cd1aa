import type { Clock } from './clock.ts'
import type { GroupGrammar } from './group-grammar.ts'
import type { Logger } from './log.ts'
import type { DelegationAttempt } from './policy.ts'

/**
 * Where a level holds: at most 16 names from the outermost inwards, such as a domain and a project in it. The empty list
 * is the whole. A level in an area holds in every area inside it.
 */
export type Area = readonly string[]

/** A level, and where it holds. */
export interface Grant<Level extends string = string> {
  readonly level: Level
  readonly area: Area
}

/** What the groups and roles of one issuer's sessions grant. Those of other issuers mean nothing here. */
export interface IssuerPermissions<Level extends string> {
  /** Exactly as the tokens write it. */
  readonly issuer: string
  /** Groups by their exact names, and the level that each grants in the whole. */
  readonly groups?: Readonly<Record<string, Level>> | undefined
  /** For groups that follow a convention; asked about those that `groups` does not name. */
  readonly grammar?: GroupGrammar<Level> | undefined
  /** Roles by their exact names, and the level that each grants in the whole. */
  readonly roles?: Readonly<Record<string, Level>> | undefined
}

/** What it takes to use a resource or a prompt. */
export interface OperationRule<Level extends string> {
  readonly level: Level
  /** Whether the level in any area is enough; what is done there is for delegation rules, or the handler, to check. */
  readonly anywhere?: boolean | undefined
  /** OAuth scopes that the token must hold besides, or scopes that include them. */
  readonly scopes?: readonly string[] | undefined
}

/** What it takes to call a tool. */
export interface ToolRule<Level extends string> extends OperationRule<Level> {
  /**
   * By module: the targets for which the tool may ask for credentials; an empty object is for none at all. It narrows what
   * `delegations` allow. Default: all of that.
   */
  readonly delegates?: Readonly<Record<string, readonly string[] | 'any'>> | undefined
}

/** What it takes to have a credential. All that is given must hold; what is left out holds for everything. */
export interface DelegationRule<Level extends string> {
  /** The names under which the modules are registered. */
  readonly modules: readonly string[]
  readonly types?: readonly string[] | undefined
  readonly targets?: readonly string[] | undefined
  readonly principals?: readonly string[] | undefined
  readonly level: Level
  /** Where the level must hold. Pure and synchronous; where it throws, the rule refuses. Default: in the whole. */
  readonly area?: ((attempt: DelegationAttempt) => Area) | undefined
  readonly scopes?: readonly string[] | undefined
}

/**
 * A bucket that holds `calls` calls and fills up evenly within `per`: so many at once, and so many in that time on average.
 */
export interface RateLimit {
  /** From 1 to 1,000,000. */
  readonly calls: number
  /** Whole milliseconds, up to a day. */
  readonly per: number
}

/** Options of `permissions`. */
export interface PermissionsOptions<Level extends string> {
  /** From the least to the most. Each includes those before it. */
  readonly levels: readonly Level[]
  readonly issuers: readonly IssuerPermissions<NoInfer<Level>>[]
  /** By tool: the level that it takes, or the whole rule. Other tools are denied. */
  readonly tools: Readonly<Record<string, NoInfer<Level> | ToolRule<NoInfer<Level>>>>
  /** By the name under which a resource is registered. Other resources are denied. */
  readonly resources?: Readonly<Record<string, NoInfer<Level> | OperationRule<NoInfer<Level>>>> | undefined
  readonly prompts?: Readonly<Record<string, NoInfer<Level> | OperationRule<NoInfer<Level>>>> | undefined
  /** One of them must allow a credential. Default: none, so that there are no credentials. */
  readonly delegations?: readonly DelegationRule<NoInfer<Level>>[] | undefined
  /** A scope and what it includes, followed transitively. Default: a scope includes itself alone. */
  readonly scopeHierarchy?: Readonly<Record<string, readonly string[]>> | undefined
  /** For each user: of all tools, resources and prompts together, and of single tools. Default: none. */
  readonly rateLimits?:
    | { readonly all?: RateLimit | undefined; readonly tools?: Readonly<Record<string, RateLimit>> | undefined }
    | undefined
  /** Default: the machine's. */
  readonly clock?: Clock | undefined
  /** Groups and roles that grant nothing, at `debug`; areas that fail, at `error`. Default: silent. */
  readonly log?: Logger | undefined
}
