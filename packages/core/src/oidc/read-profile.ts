import type { ClaimPath, ClaimTest, IssuerProfile } from './issuer-profile.ts'
import { type IssuerProfileName, issuerProfiles } from './profiles.ts'

const isName = (value: unknown): value is string => typeof value === 'string' && value !== ''

/**
 * Checks a claim path and copies it.
 * @throws TypeError naming `option`.
 */
export function claimPath(value: unknown, option: string): ClaimPath {
  if (isName(value)) return value
  if (Array.isArray(value) && value.length > 0 && value.every(isName)) return Object.freeze([...value])
  throw new TypeError(`"${option}" must be a claim's name, or a list of names that leads to it`)
}

function list<T>(value: unknown, option: string, member: (value: unknown, option: string) => T): readonly T[] {
  if (!Array.isArray(value)) throw new TypeError(`"${option}" must be a list`)
  return Object.freeze(value.map((item) => member(item, option)))
}

function claimTest(value: unknown, option: string): ClaimTest {
  const { claim, is, exists, present, contains } = (value ?? {}) as Record<keyof ClaimTest, unknown>
  const path = claimPath(claim, `${option}.claim`)
  const one = is === null || isName(is) ? is : is === undefined ? undefined : list(is, `${option}.is`, named)
  if (Array.isArray(one) && one.length === 0) throw new TypeError(`"${option}.is" must not be empty`)
  if (exists !== undefined && exists !== true) throw new TypeError(`"${option}.exists" must be true`)
  if (present !== undefined && present !== true) throw new TypeError(`"${option}.present" must be true`)
  if (contains !== undefined && !isName(contains)) throw new TypeError(`"${option}.contains" must be a text`)
  if (one === undefined && exists === undefined && present === undefined && contains === undefined)
    throw new TypeError(`"${option}" must say "is", "exists", "present" or "contains"`)
  return Object.freeze({ claim: path, is: one, exists, present, contains })
}

function named(value: unknown, option: string): string {
  if (isName(value)) return value
  throw new TypeError(`"${option}" must hold texts`)
}

function headerType(value: unknown, option: string): string | null {
  if (value === null || (isName(value) && value === normalType(value))) return value
  throw new TypeError(`"${option}" must hold null, or texts in lower case without "application/"`)
}

/** A header's `typ` as profiles write it. @see https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9 */
export function normalType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

/**
 * The profile of a name, or a checked copy of one's own.
 * @throws TypeError naming `option`.
 */
export function issuerProfile(value: unknown, option: string): IssuerProfile {
  if (value === undefined) return issuerProfiles.rfc9068
  if (typeof value === 'string') {
    if (Object.hasOwn(issuerProfiles, value)) return issuerProfiles[value as IssuerProfileName]
    throw new TypeError(`"${option}" must be one of ${Object.keys(issuerProfiles).join(', ')}, or a profile`)
  }
  const given = (value ?? {}) as Record<keyof IssuerProfile, unknown>
  const profile: IssuerProfile = {
    types: list(given.types, `${option}.types`, headerType),
    accessToken: list(given.accessToken, `${option}.accessToken`, claimTest),
    clientId: list(given.clientId, `${option}.clientId`, claimPath),
    scopes: list(given.scopes, `${option}.scopes`, claimPath),
    groups: list(given.groups, `${option}.groups`, claimPath),
    groupsIncomplete: list(given.groupsIncomplete ?? [], `${option}.groupsIncomplete`, claimTest),
    roles: list(given.roles, `${option}.roles`, claimPath),
    user: list(given.user, `${option}.user`, claimTest),
  }
  if (profile.types.length === 0) throw new TypeError(`"${option}.types" must not be empty`)
  if (profile.clientId.length === 0) throw new TypeError(`"${option}.clientId" must not be empty`)
  if (profile.user.length === 0) throw new TypeError(`"${option}.user" must say what proves a person`)
  if (profile.accessToken.length === 0 && profile.types.some((type) => type === null || type === 'jwt'))
    throw new TypeError(`"${option}.accessToken" must tell access tokens from ID tokens, whose type is the same`)
  return Object.freeze(profile)
}
