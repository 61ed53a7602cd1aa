import { readFileSync } from 'node:fs'
import { type PrincipalMapping, type PrincipalMappingOptions, principalMapping } from '@mcp-delegation/core'
import { checkKnown } from './known-options.ts'
import type { LoginMethod } from './logins/login-method.ts'
import { templatesMeet } from './meeting.ts'
import type { Source } from './sources/source.ts'

/** Sources by the names under which tools ask for them. */
export type Targets = Readonly<Record<string, Source<unknown>>>

/** What `vaultMapping` takes. */
export interface VaultMappingOptions<T extends Targets = Targets> {
  /**
   * Where Vault is: `https://vault.example.com:8200`. A list holds the nodes of one cluster, or of one address each way to
   * reach it. Plain `http` only to loopback, as to an agent on this host.
   */
  readonly address: string | readonly string[]
  /** The namespace of all mounts. A server that does not know namespaces is refused. Default: none. */
  readonly namespace?: string | undefined
  readonly tls?:
    | {
        /**
         * The authorities that Vault's certificate may be from: PEM, or the absolute path of a file. Default: those that
         * Node trusts, `NODE_EXTRA_CA_CERTS` among them.
         */
        readonly ca?: string | undefined
        /** The name that Vault's certificate must have. Default: the host of the address. */
        readonly serverName?: string | undefined
      }
    | undefined
  /** How this server gets its tokens from Vault: as the user with `jwtLogin`, or as itself with one of the others. */
  readonly login: LoginMethod
  /** From sessions to the names that `{principal}` stands for in the paths and roles of `targets`. */
  readonly principal: Omit<PrincipalMappingOptions, 'case'>
  /** What tools may ask for, and how it comes from Vault. Others are denied. */
  readonly targets: T
  /** How long Vault may take to answer one request, in milliseconds, from 100 to 60,000. Default: 5,000. */
  readonly timeout?: number | undefined
  /** How often a read is sent at most while Vault can't answer, from 1 to 10. Default: 3. */
  readonly tries?: number | undefined
  /** How long obtaining a credential may take, in milliseconds. Default: the registry's `deadline`. */
  readonly deadline?: number | undefined
  /**
   * How many connections there are at most to each address, and how many credentials are obtained at once, up to 1,000.
   * Default: 16.
   */
  readonly connections?: number | undefined
  /** How many requests for credentials may wait besides. Default: 10,000. */
  readonly maxQueued?: number | undefined
  /**
   * Whether a credential is for all tokens of a user with the same rights, or for one token: where roles of `jwtLogin` look
   * at claims that are no part of a session's rights. Default: `'user'`.
   */
  readonly reuse?: 'user' | 'token' | undefined
  /** How long a credential is kept, renewals included, in milliseconds. Default: the registry's `cache.maxAge`. */
  readonly maxAge?: number | undefined
  /** With `jwtLogin`: how many Vault tokens are kept that no lease needs. Default: 10,000. */
  readonly maxTokens?: number | undefined
  /** With `jwtLogin`: how long a Vault token is kept that no lease needs, in milliseconds, from 1,000. Default: 60,000. */
  readonly maxTokenIdle?: number | undefined
}

/** Options that were checked. */
export interface CheckedOptions {
  readonly addresses: readonly string[]
  readonly namespace: string | undefined
  readonly ca: string | undefined
  readonly serverName: string | undefined
  readonly login: LoginMethod
  readonly mapping: PrincipalMapping
  readonly targets: ReadonlyMap<string, Source<unknown>>
  readonly timeout: number
  readonly tries: number
  readonly deadline: number | undefined
  readonly connections: number
  readonly maxQueued: number
  readonly reuse: 'user' | 'token'
  readonly maxAge: number | undefined
  readonly maxTokens: number
  readonly maxTokenIdle: number
}

const KNOWN: readonly (keyof VaultMappingOptions)[] = [
  'address',
  'namespace',
  'tls',
  'login',
  'principal',
  'targets',
  'timeout',
  'tries',
  'deadline',
  'connections',
  'maxQueued',
  'reuse',
  'maxAge',
  'maxTokens',
  'maxTokenIdle',
]

const NAMESPACE = /^(?!.*\.\.)(?:[\w-][\w.@:=~-]*\/)*[\w-][\w.@:=~-]*\/?$/
const MAX_DELAY = 2 ** 31 - 1

/** @throws TypeError naming the option that is wrong. */
export function checkOptions(options: VaultMappingOptions): CheckedOptions {
  checkKnown(options, KNOWN, 'vaultMapping')
  const { namespace, tls = {}, login, targets, reuse = 'user' } = options
  if (namespace !== undefined && !(typeof namespace === 'string' && NAMESPACE.test(namespace)))
    throw new TypeError('"namespace" must be names of ASCII letters, digits and ._@:=~-, separated by "/"')
  checkKnown(tls, ['ca', 'serverName'], 'tls')
  if (
    tls.serverName !== undefined &&
    !(typeof tls.serverName === 'string' && /^[A-Za-z0-9.-]{1,253}$/.test(tls.serverName))
  )
    throw new TypeError('"tls.serverName" must be the name of a host')
  if (typeof login?.logIn !== 'function') throw new TypeError('"login" must be made by one of the login methods')
  const { principal = { issuers: undefined } } = options
  checkKnown(principal, ['issuers', 'links'], 'principal')
  if (reuse !== 'user' && reuse !== 'token') throw new TypeError("\"reuse\" must be 'user' or 'token'")
  const { issuers, links } = principal as Partial<PrincipalMappingOptions>
  return {
    addresses: checkAddresses(options.address),
    namespace: namespace?.replace(/\/$/, ''),
    ca: tls.ca === undefined ? undefined : readAuthorities(tls.ca),
    serverName: tls.serverName,
    login,
    mapping: checkMapping(() => principalMapping({ issuers: issuers as never, links, case: 'sensitive' })),
    targets: checkTargets(targets),
    timeout: numberOf(options.timeout, 'timeout', 100, 60_000, 5_000),
    tries: numberOf(options.tries, 'tries', 1, 10, 3),
    deadline: options.deadline === undefined ? undefined : numberOf(options.deadline, 'deadline', 1, MAX_DELAY, 1),
    connections: numberOf(options.connections, 'connections', 1, 1_000, 16),
    maxQueued: numberOf(options.maxQueued, 'maxQueued', 1, 1_000_000, 10_000),
    reuse,
    maxAge: options.maxAge === undefined ? undefined : numberOf(options.maxAge, 'maxAge', 1, MAX_DELAY, 1),
    maxTokens: numberOf(options.maxTokens, 'maxTokens', 1, 1_000_000, 10_000),
    maxTokenIdle: numberOf(options.maxTokenIdle, 'maxTokenIdle', 1_000, MAX_DELAY, 60_000),
  }
}

function numberOf(value: unknown, option: string, min: number, max: number, otherwise: number): number {
  if (value === undefined) return otherwise
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
    throw new TypeError(`"${option}" must be a whole number from ${min} to ${max}`)
  return value
}

function checkAddresses(given: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw new TypeError('"address" must be an address, or a list of them')
  const origins = list.map((address) => {
    const url = typeof address === 'string' && URL.canParse(address) ? new URL(address) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
      throw new TypeError('"address" must be such as https://vault.example.com:8200')
    if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
      throw new TypeError('"address" must be without a path: https://vault.example.com:8200')
    if (url.protocol === 'http:' && !isLoopback(url.hostname))
      throw new TypeError('"address" must be https, or http to a loopback address')
    return url.origin
  })
  if (new Set(origins).size !== origins.length) throw new TypeError('"address" must not repeat itself')
  return origins
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function readAuthorities(given: unknown): string {
  if (typeof given !== 'string') throw new TypeError('"tls.ca" must be PEM, or the absolute path of a file')
  let text = given
  if (given.startsWith('/'))
    try {
      text = readFileSync(given, 'utf8')
    } catch (cause) {
      throw new TypeError(`"tls.ca": ${given} can't be read`, { cause })
    }
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new TypeError('"tls.ca" must be PEM, or the absolute path of a file with PEM')
  return text
}

function checkMapping(make: () => PrincipalMapping): PrincipalMapping {
  try {
    return make()
  } catch (error) {
    // The names of the mapping's own options begin with quotation marks.
    if (error instanceof TypeError) throw new TypeError(error.message.replaceAll(/"(issuers|links)/g, '"principal.$1'))
    throw error
  }
}

const TARGET = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$/

function checkTargets(given: unknown): ReadonlyMap<string, Source<unknown>> {
  if (given === null || typeof given !== 'object' || Array.isArray(given))
    throw new TypeError('"targets" must be an object')
  const entries = Object.entries(given as Targets)
  if (entries.length === 0) throw new TypeError('"targets" must not be empty')
  for (const [name, source] of entries) {
    if (!TARGET.test(name))
      throw new TypeError('"targets" must have names of letters, digits, "." "_" ":" "/" "@" and "-"')
    if (typeof source?.obtain !== 'function')
      throw new TypeError(`"targets.${name}" must be made by one of the sources`)
  }
  checkClaims(entries)
  return new Map(entries)
}

/** Else a user could choose a name with which one target gives what another target gives somebody else. */
function checkClaims(entries: readonly (readonly [string, Source<unknown>])[]): void {
  const claims = entries.flatMap(([name, source]) => source.claims.map((claim) => ({ name, claim })))
  for (const [index, one] of claims.entries())
    for (const other of claims.slice(index + 1))
      if (one.claim.kind === other.claim.kind && templatesMeet(one.claim.template, other.claim.template))
        throw new TypeError(
          `"targets.${one.name}" and "targets.${other.name}" could give one path or name to two users: ` +
            'let their templates begin or end differently',
        )
}
