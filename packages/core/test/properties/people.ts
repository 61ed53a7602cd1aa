import type { Session } from '../../src/session.ts'

/** A user: the same subjects at two issuers. */
export interface Person {
  readonly name: string
  readonly issuer: string
  readonly subject: string
}

export const PEOPLE: readonly Person[] = ['a', 'b'].flatMap((letter) =>
  ['sam', 'kim'].map((subject) => ({ name: `${subject}@${letter}`, issuer: `https://${letter}.example`, subject })),
)

/** A token of somebody, and the session that was made of it. */
export interface Token {
  readonly session: Session
  readonly person: Person
  readonly rights: string
  readonly sid: string | undefined
  readonly expiresAt: number
  readonly machine: boolean
}

/** A module in its place. */
export interface Member {
  readonly type: string
  readonly reuse: 'user' | 'token' | 'never'
  readonly shared: boolean
  principal(person: Person): string | undefined
}

const own = (person: Person): string => person.name
const plain: Member = { type: 'plain', reuse: 'user', shared: false, principal: own }
const perToken: Member = { type: 'per-token', reuse: 'token', shared: false, principal: own }
const once: Member = { type: 'once', reuse: 'never', shared: false, principal: own }
const mapped: Member = {
  type: 'mapped',
  reuse: 'user',
  shared: false,
  principal: (person) => (person.subject === 'sam' ? person.name : undefined),
}
const common: Member = { type: 'common', reuse: 'user', shared: true, principal: () => 'common-account' }
const clash: Member = { type: 'clash', reuse: 'user', shared: false, principal: ({ subject }) => subject }

/** What is registered, by name: `chain` is a list to walk. */
export const PLACES: Readonly<Record<string, readonly Member[]>> = {
  plain: [plain],
  'per-token': [perToken],
  once: [once],
  chain: [mapped, common],
  clash: [clash],
}

/** The parts that two callers must have in common to be served from one credential. */
export function keyOf(member: Member, token: Token, request: number): string | undefined {
  const principal = member.principal(token.person)
  if (principal === undefined) return undefined
  const parts = [member.type, token.person.name, token.rights, principal, String(request)]
  if (member.reuse === 'token') parts.push(token.session.id)
  return parts.join(' | ')
}
