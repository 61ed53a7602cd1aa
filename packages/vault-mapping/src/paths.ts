import { createHash } from 'node:crypto'
import { DelegationError } from '@mcp-delegation/core'
import type { IdentityParts } from './sources/source.ts'

/** What stands between two slashes: a constant, or a placeholder with something around it. */
export interface Segment {
  readonly before: string
  readonly placeholder?: string
  readonly after: string
}

/** A text of the administrator's with placeholders for who calls. */
export interface Template {
  readonly segments: readonly Segment[]
  /** Whether different users get different texts. */
  readonly perUser: boolean
  /**
   * The text for one user. Different parts never give the same one.
   * @throws DelegationError `ERR_DELEGATION_DENIED` for a part that it may not hold.
   */
  fill(who: IdentityParts): string
}

/** Whether a template must have a placeholder, or may be one text for all. */
export type PerUser = 'required' | 'optional'

/**
 * What names in the API may look like. `kv`: as the server keeps them. The roles of engines are narrower, and those of
 * `ldap` are lower case: that engine takes `Alice` for `alice`.
 */
export type NameRule = 'kv' | 'role' | 'ssh-role' | 'ldap-role'

const PLACEHOLDERS = '{principal} and {identity}'
const CONSTANT = /^[A-Za-z0-9._@:=~-]+$/
const PART = /^[A-Za-z0-9_][A-Za-z0-9._@:=~-]{0,127}$/
const NAMES: Readonly<Record<NameRule, RegExp>> = {
  kv: CONSTANT,
  role: /^\w(?:[\w.-]*\w)?$/,
  'ssh-role': /^\w(?:[\w.@-]*\w)?$/,
  'ldap-role': /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/,
}
const MAX_LENGTH = 1024
const TEXT = /^[^\p{C}\p{Zl}\p{Zp}{}]*$/u

/** The parts by the names of their placeholders. */
const PARTS: Readonly<Record<string, (who: IdentityParts) => string>> = {
  principal: ({ principal }) => principal,
  identity: identityDigest,
}

/**
 * Segments below a mount, each with one placeholder at most: `users/{principal}/vcenter`.
 * @throws TypeError naming `option`.
 */
export function pathTemplate(path: unknown, option: string, perUser: PerUser): Template {
  if (typeof path !== 'string' || path === '' || path.length > MAX_LENGTH)
    throw new TypeError(`"${option}" must be a path of 1 to ${MAX_LENGTH} characters, without slashes at its ends`)
  return joined(
    path.split('/').map((segment) => readSegment(segment, option, 'kv')),
    option,
    perUser,
  )
}

/**
 * The name of a role, or of a set: one segment.
 * @throws TypeError naming `option`.
 */
export function nameTemplate(name: unknown, option: string, perUser: PerUser, rule: NameRule): Template {
  if (typeof name !== 'string' || name === '' || name.length > MAX_LENGTH || name.includes('/'))
    throw new TypeError(`"${option}" must be a name without slashes`)
  return joined([readSegment(name, option, rule)], option, perUser)
}

/**
 * A text that is no path, with exactly one placeholder: `{principal}@corp.example`. Its own characters are those of `allowed`.
 * @throws TypeError naming `option`.
 */
export function textTemplate(text: unknown, option: string, allowed: RegExp = TEXT): Template {
  if (typeof text !== 'string' || text.length > MAX_LENGTH) throw new TypeError(`"${option}" must be a text`)
  const { before, placeholder, after } = split(text, option)
  if (placeholder === undefined)
    throw new TypeError(`"${option}" must hold one of ${PLACEHOLDERS}: everybody would be the same user`)
  if (!allowed.test(before) || !allowed.test(after))
    throw new TypeError(`"${option}" has a character that it can't hold`)
  const segments = [{ before, placeholder, after }]
  return { segments, perUser: true, fill: (who) => before + partOf(placeholder, who) + after }
}

/**
 * Where an engine or an auth method is mounted.
 * @throws TypeError naming `option`.
 */
export function mountPath(mount: unknown, option: string): string {
  if (typeof mount !== 'string' || mount === '' || mount.length > MAX_LENGTH)
    throw new TypeError(`"${option}" must be the path of a mount, without slashes at its ends`)
  for (const segment of mount.split('/')) checkConstant(segment, option)
  return mount
}

/**
 * A name for whoever has a subject that no path can hold: the lower-case hex SHA-256 over issuer and subject, each as a
 * netstring (`<bytes>:<text>,`), so that no two pairs give one.
 * @throws DelegationError `ERR_DELEGATION_DENIED` where either is not well-formed Unicode.
 */
export function identityDigest({ issuer, subject }: Pick<IdentityParts, 'issuer' | 'subject'>): string {
  const hash = createHash('sha256')
  for (const text of [issuer, subject]) {
    if (typeof text !== 'string' || /\p{Cs}/u.test(text)) throw denied('the identity of the caller is not well-formed')
    hash.update(`${Buffer.byteLength(text)}:${text},`)
  }
  return hash.digest('hex')
}

function joined(segments: readonly Template[], option: string, perUser: PerUser): Template {
  const own = segments.some((segment) => segment.perUser)
  if (perUser === 'required' && !own)
    throw new TypeError(
      `"${option}" must hold one of ${PLACEHOLDERS}: without, all users would get the same secret. ` +
        'For an account that users share, see serviceAccount of @mcp-delegation/service-account',
    )
  return {
    segments: segments.flatMap((segment) => segment.segments),
    perUser: own,
    fill: (who) => segments.map((segment) => segment.fill(who)).join('/'),
  }
}

function readSegment(segment: string, option: string, rule: NameRule): Template {
  const parts = split(segment, option)
  const { before, placeholder, after } = parts
  if (placeholder === undefined) {
    checkConstant(segment, option)
    if (!NAMES[rule].test(segment)) throw new TypeError(`"${option}" is no name of a role that the engine can have`)
    return { segments: [parts], perUser: false, fill: () => segment }
  }
  for (const constant of [before, after]) if (constant !== '') checkConstant(constant, option, false)
  return {
    segments: [parts],
    perUser: true,
    fill(who) {
      const name = before + partOf(placeholder, who) + after
      if (!NAMES[rule].test(name)) throw denied('the name of the caller can be in no name of this engine')
      return name
    },
  }
}

/** A text around its one placeholder, where it has one. */
function split(text: string, option: string): Segment {
  const [before = '', placeholder, after = ''] = text.split(/[{}]/)
  if (placeholder === undefined) return { before, after }
  if (text !== `${before}{${placeholder}}${after}`)
    throw new TypeError(`"${option}" must have one placeholder at most in each segment, in braces`)
  if (!Object.hasOwn(PARTS, placeholder))
    throw new TypeError(`"${option}" has an unknown placeholder; there are ${PLACEHOLDERS}`)
  return { before, placeholder, after }
}

function checkConstant(text: string, option: string, whole = true): void {
  if (!CONSTANT.test(text) || text.includes('..') || (text === '.' && whole))
    throw new TypeError(
      `"${option}" must consist of segments of ASCII letters, digits and ._@:=~-, without "..", empty ones or "."`,
    )
}

function partOf(placeholder: string, who: IdentityParts): string {
  const part = PARTS[placeholder]?.(who)
  // All that could leave a segment, join two of them, or mean more than itself to the server's router and policies.
  if (typeof part !== 'string' || !PART.test(part) || part.includes('..') || part.endsWith('.'))
    throw denied('the name of the caller can be in no path of Vault')
  return part
}

function denied(message: string): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message)
}
