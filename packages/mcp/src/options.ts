import {
  type Clock,
  type DelegationRegistry,
  type Logger,
  type ModuleMap,
  type ScopeHierarchy,
  type Session,
  type SessionVerifier,
  scopeHierarchy,
} from '@mcp-delegation/core'
import { type Challenges, challenges } from './challenge.ts'
import { type ResourceMetadata, resourceMetadata } from './metadata.ts'
import { isLoopback, type OriginRule, originRule } from './origin.ts'
import { checkScopes } from './scopes.ts'

/** What it takes to protect a server. */
export interface ProtectOptions<M extends ModuleMap> {
  /** The server's public URL, as its clients know it: `https`, or `http` on this machine; no query, no fragment. */
  readonly resource: string | URL
  /** Turns tokens into sessions; it must insist that `resource` is their audience. */
  readonly verifier: SessionVerifier
  readonly registry: DelegationRegistry<M>
  /** Scopes that every request needs. Default: none. */
  readonly requiredScopes?: readonly string[] | undefined
  /** A scope and what it includes, followed transitively. Default: a scope includes itself alone. */
  readonly scopeHierarchy?: Readonly<Record<string, readonly string[]>> | undefined
  /** Where clients get tokens. Default: the verifier's issuers. */
  readonly authorizationServers?: readonly string[] | undefined
  /** Origins of web pages that may call, besides the server's own; on a loopback resource any page of this machine may. */
  readonly allowedOrigins?: readonly string[] | undefined
  /** By tool or prompt: the arguments whose values go into the audit record. Default: none. */
  readonly auditedArguments?: Readonly<Record<string, readonly string[]>> | undefined
  /** Makes the one session of a server on stdio. Called at the first tool call, and again after the session's expiry. */
  readonly stdio?: (() => Promise<Session>) | undefined
  /**
   * Up to how many bytes of a request's body are read. Default: 4,194,304 (4 MiB). It counts in place of the handler's
   * own `maxRequestBodySize`; a body parser in front has a limit of its own.
   */
  readonly maxBodySize?: number | undefined
  /** Default: silent. */
  readonly log?: Logger | undefined
  /** Default: the machine's. */
  readonly clock?: Clock | undefined
}

/** Options with every default filled in, and what follows from them. */
export interface Settings<M extends ModuleMap> {
  readonly resource: string
  readonly verifier: SessionVerifier
  readonly registry: DelegationRegistry<M>
  readonly baseScopes: readonly string[]
  readonly hierarchy: ScopeHierarchy
  readonly metadata: ResourceMetadata
  readonly challenges: Challenges
  readonly origins: OriginRule
  readonly auditedArguments: ReadonlyMap<string, readonly string[]>
  readonly stdio: (() => Promise<Session>) | undefined
  readonly maxBodySize: number
  readonly log: Logger
  readonly clock: Clock
}

const ignore = (): void => {}
const SILENT: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
const SYSTEM_CLOCK: Clock = { now: () => Date.now() }

/** @throws TypeError naming the option that is wrong. */
export function checkOptions<M extends ModuleMap>(options: ProtectOptions<M>): Settings<M> {
  if (options === null || typeof options !== 'object') throw new TypeError('"options" must be an object')
  const {
    verifier,
    registry,
    auditedArguments = {},
    stdio,
    maxBodySize = 4_194_304,
    log = SILENT,
    clock = SYSTEM_CLOCK,
  } = options
  const url = checkUrl(options.resource, 'resource')
  const resource = options.resource instanceof URL ? url.href : options.resource
  checkMethods(verifier, 'verifier', ['verify'])
  checkMethods(registry, 'registry', ['delegate', 'audit', 'count', 'decide', 'standing'])
  checkMethods(log, 'log', ['debug', 'info', 'warn', 'error'])
  checkMethods(clock, 'clock', ['now'])
  if (stdio !== undefined && typeof stdio !== 'function') throw new TypeError('"stdio" must be a function')
  if (!Number.isSafeInteger(maxBodySize) || maxBodySize < 1)
    throw new TypeError('"maxBodySize" must be a positive number of bytes')
  const baseScopes = checkScopes(options.requiredScopes ?? [], 'requiredScopes')
  const authorizationServers = options.authorizationServers ?? verifier.issuers
  if (!Array.isArray(authorizationServers) || authorizationServers.length === 0)
    throw new TypeError('"authorizationServers" must be a list of one URL or more')
  for (const server of authorizationServers) checkUrl(server, 'authorizationServers')
  const metadata = resourceMetadata({
    resource,
    authorizationServers: Object.freeze([...authorizationServers]),
    scopes: baseScopes,
  })
  return {
    resource,
    verifier,
    registry,
    baseScopes,
    hierarchy: scopeHierarchy(options.scopeHierarchy),
    metadata,
    challenges: challenges(metadata.url, baseScopes),
    origins: originRule(url, options.allowedOrigins),
    auditedArguments: checkArguments(auditedArguments),
    stdio,
    maxBodySize,
    log: unfailing(log),
    clock,
  }
}

/** A logger that fails must not change what becomes of a request. */
function unfailing(log: Logger): Logger {
  const guarded = (level: keyof Logger) => (fields: object, message: string) => {
    try {
      log[level](fields, message)
    } catch {}
  }
  return { debug: guarded('debug'), info: guarded('info'), warn: guarded('warn'), error: guarded('error') }
}

function checkUrl(value: unknown, option: string): URL {
  const text = value instanceof URL ? value.href : value
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url === undefined || !secure || /[?#]/.test(url.href) || url.username !== '' || url.password !== '')
    throw new TypeError(`"${option}" must be an https URL (http on loopback) without query, fragment and credentials`)
  return url
}

function checkMethods(value: unknown, option: string, methods: readonly string[]): void {
  const members = (value ?? {}) as Record<string, unknown>
  if (methods.every((method) => typeof members[method] === 'function')) return
  throw new TypeError(`"${option}" must be an object with the methods ${methods.join(', ')}`)
}

function checkArguments(lists: unknown): ReadonlyMap<string, readonly string[]> {
  const wrong = new TypeError('"auditedArguments" must be an object of lists of argument names')
  if (lists === null || typeof lists !== 'object' || Array.isArray(lists)) throw wrong
  return new Map(
    Object.entries(lists).map(([tool, names]: [string, unknown]) => {
      if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) throw wrong
      return [tool, Object.freeze([...names])]
    }),
  )
}
