import { createHash, randomBytes } from 'node:crypto'
import { canonicalJson, isPlainObject } from './canonical-json.ts'
import { DelegationError } from './errors.ts'
import { type Secret, secret } from './secret.ts'
import { inOnePiece, isCleanText, printable } from './text.ts'

/** Who somebody is: the pair, never the subject alone. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
}

/** A verified caller. Only what {@link createSession} returns is accepted by the registry. */
export type Session = Readonly<{
  /**
   * Base64url SHA-256 of the token, of a signed one without its signature, which can be written in several ways; random
   * where there is no token.
   */
  id: string
  issuer: string
  subject: string
  clientId: string | undefined
  /** `user` only on positive proof; everything else is a machine. */
  kind: 'user' | 'machine'
  /** For people to read. Never an identity. */
  displayName: string
  groups: ReadonlySet<string>
  /** Whether `groups` are known to be all of them. Where they are not, nothing may follow from one that is missing. */
  groupsComplete: boolean
  roles: ReadonlySet<string>
  scopes: ReadonlySet<string>
  /** Who acts for the subject, nearest first. @see https://www.rfc-editor.org/rfc/rfc8693#section-4.1 */
  act: readonly string[]
  /** The verified claims, frozen. */
  claims: Readonly<Record<string, unknown>>
  /** What a post-verifier answered; part of the session's rights. */
  more: Readonly<Record<string, unknown>>
  issuedAt: Date
  expiresAt: Date
  /** Absent where a stdio server made the session from something else. */
  token: Secret<string> | undefined
}>

/** What {@link createSession} takes: a session without its id. `groupsComplete` is true where it is left out. */
export type VerifiedClaims = Omit<Session, 'id' | 'more' | 'groupsComplete'> & {
  readonly more?: Session['more'] | undefined
  readonly groupsComplete?: boolean | undefined
}

/** Turns a token into a session. */
export interface SessionVerifier {
  /** The issuers whose tokens it accepts. */
  readonly issuers: readonly string[]
  /** Rejects with a `DelegationError`: `ERR_SESSION_*` for a refusal, `ERR_DELEGATION_UNAVAILABLE` for an outage. */
  verify(token: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Session>
}

/** One token's claim to the entries that it was served from. */
export interface Cover {
  readonly id: string
  readonly issuer: string
  readonly sid: string | undefined
  readonly expiresAt: number
  /** Set when the session is ended: what it still holds fails. */
  ended: boolean
}

/** What the registry reads: it can't be changed through the session that was handed out. */
export interface SessionSnapshot {
  /** A second copy, for policies and modules. */
  readonly session: Session
  /** Issuer and subject, unambiguous. */
  readonly identity: string
  /** Digest of identity, client and rights. */
  readonly key: string
  readonly cover: Cover
}

const snapshots = new WeakMap<object, SessionSnapshot>()

/** `undefined` for anything that `createSession` did not make. */
export function snapshotOf(session: unknown): SessionSnapshot | undefined {
  return typeof session === 'object' && session !== null ? snapshots.get(session) : undefined
}

/** Whether `value` is a session that {@link createSession} made. */
export function isSession(value: unknown): value is Session {
  return snapshotOf(value) !== undefined
}

/** Joins parts so that different parts never give the same text. */
export function keyOf(...parts: readonly string[]): string {
  let key = ''
  for (const part of parts) key += `${part.length}:${part}`
  return key
}

/** An identity as a key. */
export function identityKey(who: Identity): string {
  return keyOf(who.issuer, who.subject)
}

const MAX_IDENTITY_BYTES = 255
const MAX_NAME_BYTES = 1024
const MAX_ACTORS = 16

function invalid(field: string, must: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_SESSION_INVALID', `the session's ${field} must be ${must}`, { cause })
}

function identityText(value: unknown, field: string): string {
  if (!isCleanText(value, MAX_IDENTITY_BYTES))
    throw invalid(field, `1 to ${MAX_IDENTITY_BYTES} bytes of well-formed text without control characters`)
  return value
}

function names(values: Iterable<unknown>, field: string): readonly string[] {
  const list: string[] = []
  if (typeof values === 'string' || typeof values?.[Symbol.iterator] !== 'function') throw invalid(field, 'a set')
  for (const value of values) {
    if (!isCleanText(value, MAX_NAME_BYTES)) throw invalid(field, 'clean, well-formed strings')
    list.push(value)
  }
  return list
}

function milliseconds(value: unknown, field: string): number {
  const time = value instanceof Date ? value.getTime() : Number.NaN
  if (Number.isNaN(time)) throw invalid(field, 'a valid date')
  return time
}

function tokenText(token: Secret<unknown>): string {
  const text = typeof token?.reveal === 'function' ? token.reveal() : undefined
  if (typeof text !== 'string' || text === '') throw invalid('token', 'a secret that holds text')
  return text
}

function frozenJson(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid(field, 'an object')
  try {
    return freezeDeep(structuredClone(value)) as Record<string, unknown>
  } catch (cause) {
    throw invalid(field, 'plain data', cause)
  }
}

function freezeDeep(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return value
  if (!Array.isArray(value) && !isPlainObject(value)) throw new TypeError('a Map, a Set or a Date stays mutable')
  Object.freeze(value)
  for (const member of Object.values(value)) freezeDeep(member)
  return value
}

/** What the signature of a JWS covers, and any other token as a whole. */
function signedPart(token: string): string {
  const [header = '', payload = '', signature, ...more] = token.split('.')
  if (signature === undefined || more.length > 0) return token
  try {
    const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { readonly alg?: unknown }
    return typeof alg === 'string' ? `${header}.${payload}` : token
  } catch {
    return token
  }
}

function fixed(): never {
  throw new TypeError('a session can not be changed')
}

/** Requests with one token share a session: none of them may change what the others see. */
function fixedSet(values: readonly string[]): ReadonlySet<string> {
  const set = new Set(values)
  for (const name of ['add', 'delete', 'clear']) Object.defineProperty(set, name, { value: fixed })
  return Object.freeze(set)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/**
 * The trust boundary: makes a session of claims that the caller has verified. Everything is copied; later changes to
 * the argument, or to the result, change nothing for the registry.
 * @throws DelegationError `ERR_SESSION_INVALID` naming the field that is malformed.
 */
export function createSession(verified: VerifiedClaims): Session {
  if (verified === null || typeof verified !== 'object') throw invalid('claims', 'an object')
  const issuer = identityText(verified.issuer, 'issuer')
  const subject = identityText(verified.subject, 'subject')
  const clientId = verified.clientId === undefined ? undefined : identityText(verified.clientId, 'clientId')
  const { kind } = verified
  if (kind !== 'user' && kind !== 'machine') throw invalid('kind', "'user' or 'machine'")
  const groups = names(verified.groups, 'groups')
  const { groupsComplete = true } = verified
  if (typeof groupsComplete !== 'boolean') throw invalid('groupsComplete', 'a boolean')
  const roles = names(verified.roles, 'roles')
  const scopes = names(verified.scopes, 'scopes')
  const act = Object.freeze(names(verified.act, 'act'))
  if (act.length > MAX_ACTORS) throw invalid('act', `at most ${MAX_ACTORS} actors`)
  const claims = frozenJson(verified.claims, 'claims')
  const more = frozenJson(verified.more === undefined ? {} : verified.more, 'more')
  const issuedAt = milliseconds(verified.issuedAt, 'issuedAt')
  const expiresAt = milliseconds(verified.expiresAt, 'expiresAt')
  const token = verified.token === undefined ? undefined : tokenText(verified.token)
  const displayName = typeof verified.displayName === 'string' ? printable(verified.displayName, 255) : subject
  const id = token === undefined ? randomBytes(32).toString('base64url') : digest(signedPart(token))

  const copy = (): Session =>
    Object.freeze({
      id,
      issuer,
      subject,
      clientId,
      kind,
      displayName,
      groups: fixedSet(groups),
      groupsComplete,
      roles: fixedSet(roles),
      scopes: fixedSet(scopes),
      act,
      claims,
      more,
      get issuedAt() {
        return new Date(issuedAt)
      },
      get expiresAt() {
        return new Date(expiresAt)
      },
      token: token === undefined ? undefined : secret(token),
    })
  const handedOut = copy()
  const kept = copy()
  const sid = isCleanText(claims['sid'], MAX_IDENTITY_BYTES) ? claims['sid'] : undefined
  const snapshot: SessionSnapshot = {
    session: kept,
    identity: inOnePiece(keyOf(issuer, subject)),
    // Hashed once, so that the keys made of it are short.
    key: digest(keyOf(issuer, subject, clientId ?? '', rights(kept))),
    cover: { id, issuer, sid, expiresAt, ended: false },
  }
  snapshots.set(handedOut, snapshot)
  snapshots.set(kept, snapshot)
  return handedOut
}

/** Digest of everything that may change what a session is allowed to have. */
function rights(session: Session): string {
  const sorted = (set: ReadonlySet<string>): readonly string[] => [...set].sort()
  try {
    return digest(
      JSON.stringify([
        session.kind,
        sorted(session.groups),
        session.groupsComplete,
        sorted(session.roles),
        sorted(session.scopes),
        session.act,
        canonicalJson(session.claims['acr'] ?? null),
        canonicalJson(session.more),
      ]),
    )
  } catch (cause) {
    throw invalid('acr and more', 'plain JSON', cause)
  }
}
