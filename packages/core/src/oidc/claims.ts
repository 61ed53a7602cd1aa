import type { ClaimPath, ClaimTest } from './issuer-profile.ts'

/** The payload of a verified token, or what an introspection endpoint answered. */
export type Claims = Readonly<Record<string, unknown>>

/** Thrown by {@link stringsAt} and {@link textsIn} for what is neither a list of texts nor a text. */
export class MalformedClaim extends Error {}

const isObject = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value at `path`, own properties only; `undefined` where there is none. */
export function claimAt(claims: Claims, path: ClaimPath): unknown {
  let value: unknown = claims
  for (const name of typeof path === 'string' ? [path] : path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** Numbers are what some issuers write for identifiers and times. */
const isPresent = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '') || (typeof value === 'number' && value > 0)

/** Whether `claims` are what the test asks. */
export function passes(claims: Claims, { claim, is, exists, present, contains }: ClaimTest): boolean {
  const value = claimAt(claims, claim)
  if (exists === true && value === undefined) return false
  if (is === null && value !== undefined) return false
  if (typeof is === 'string' && value !== is) return false
  if (Array.isArray(is) && !is.includes(value)) return false
  if (present === true && !isPresent(value)) return false
  return contains === undefined || (typeof value === 'string' && value.includes(contains))
}

/** The texts at every path that exists, a single text split at its spaces. */
export function stringsAt(claims: Claims, paths: readonly ClaimPath[]): ReadonlySet<string> {
  const found = new Set<string>()
  for (const path of paths) {
    const value = claimAt(claims, path)
    if (value === undefined || value === null) continue
    const texts: unknown = typeof value === 'string' ? value.split(' ').filter((text) => text !== '') : value
    if (!Array.isArray(texts)) throw new MalformedClaim('is neither a list nor a text')
    for (const text of textsIn(texts)) found.add(text)
  }
  return found
}

/** What `values` holds, all of which must be texts that are not empty. */
export function textsIn(values: Iterable<unknown>): ReadonlySet<string> {
  const texts = new Set<string>()
  for (const value of values) {
    if (typeof value !== 'string' || value === '') throw new MalformedClaim('holds something that is not a text')
    texts.add(value)
  }
  return texts
}

/** Claims that name the client at one identity provider or another. */
const CLIENT_CLAIMS = ['client_id', 'azp', 'appid', 'cid'] as const

/** Claims that Keycloak gives to the tokens of service accounts alone: from where the client came. */
const SERVICE_CLAIMS = ['clientHost', 'clientAddress'] as const

/** Whether anything says that nobody logged in for this token; no profile overrules it. */
export function isMachine(claims: Claims, clientId: string): boolean {
  const { sub, idtyp, gty, preferred_username: username } = claims
  if (sub === clientId || CLIENT_CLAIMS.some((name) => claims[name] === sub)) return true
  if (typeof sub === 'string' && sub.endsWith('@clients')) return true
  if (idtyp === 'app' || SERVICE_CLAIMS.some((name) => claims[name] !== undefined)) return true
  if (gty === 'client-credentials' || (Array.isArray(gty) && gty.includes('client-credentials'))) return true
  return typeof username === 'string' && username.toLowerCase().startsWith('service-account-')
}

const MAX_ACTORS = 8

/**
 * Who acts for the subject, nearest first; `undefined` for a chain that is malformed or too long.
 * @see https://www.rfc-editor.org/rfc/rfc8693#section-4.1
 */
export function actorsOf(claims: Claims): readonly string[] | undefined {
  const actors: string[] = []
  let act = claims['act']
  while (act !== undefined) {
    if (!isObject(act) || typeof act['sub'] !== 'string' || actors.length === MAX_ACTORS) return undefined
    actors.push(act['sub'])
    act = Object.hasOwn(act, 'act') ? act['act'] : undefined
  }
  return actors
}

const MAX_DEPTH = 16
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** Whether no name in `value` can reach a prototype, and it is not nested absurdly. */
export function isPlain(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth === MAX_DEPTH) return false
  return Object.entries(value).every(([name, member]) => !FORBIDDEN.has(name) && isPlain(member, depth + 1))
}
