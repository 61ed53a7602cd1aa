import { type Affixes, affixesMeet, gives } from './affixes.ts'
import { DelegationError } from './errors.ts'
import { type Identity, identityKey, type Session } from './session.ts'
import { isCleanText, printable } from './text.ts'

/** Takes the value of one claim as it is. */
export interface ClaimRule {
  /** The exact `iss` of the sessions that this rule is for. */
  readonly issuer: string
  /** A claim by its name, or a path into nested claims. */
  readonly claim: string | readonly string[]
  /**
   * What the whole value must match; it is anchored at both ends, and may have the flags i, s, u and v. Default: ASCII
   * letters, digits, `.`, `_` and `-`, neither beginning with `.` or `-` nor ending with `.`.
   */
  readonly pattern?: RegExp | undefined
  /** Needed for every claim but `sub` and `oid`: at many providers users may edit it. Default: false. */
  readonly acceptMutableClaim?: boolean | undefined
}

/** Puts the value of one claim into a text. */
export interface TemplateRule {
  /** The exact `iss` of the sessions that this rule is for. */
  readonly issuer: string
  /** A text with exactly one placeholder, the name of a claim in braces: `{preferred_username}@vsphere.local`. */
  readonly template: string
  /** As in {@link ClaimRule}. */
  readonly pattern?: RegExp | undefined
  /** As in {@link ClaimRule}. */
  readonly acceptMutableClaim?: boolean | undefined
}

/** Looks the subject up. */
export interface TableRule {
  /** The exact `iss` of the sessions that this rule is for. */
  readonly issuer: string
  /** Subject to principal. It is copied; only an object's own properties count. */
  readonly table: Readonly<Record<string, string>> | ReadonlyMap<string, string>
}

/** Asks a function. That it gives no two people one principal is up to its author. */
export interface FunctionRule {
  /** The exact `iss` of the sessions that this rule is for. */
  readonly issuer: string
  /** Pure and synchronous; `undefined` where the user has no account. */
  readonly principal: (session: Session) => string | undefined
}

/** How the users of one issuer are mapped. */
export type PrincipalRule = ClaimRule | TemplateRule | TableRule | FunctionRule

/** What {@link principalMapping} takes. */
export interface PrincipalMappingOptions {
  /** One rule for each issuer. The users of all others have no principal. */
  readonly issuers: readonly PrincipalRule[]
  /**
   * Whether names that differ in case are different accounts at the backend. Where they are not, principals are lower
   * case, constant parts included, and only ASCII: such backends also equate other letters (`ſ` and `s`, `é` and `e`).
   */
  readonly case: 'sensitive' | 'insensitive'
  /**
   * Lists of identities that are one person, and so may share a principal that a table gives one of them. Default: none.
   */
  readonly links?: readonly (readonly Identity[])[] | undefined
}

/** Two members of a `DelegationModule`. */
export interface PrincipalMapping {
  /**
   * The backend principal of a user; `undefined` where the mapping has no entry.
   * @throws DelegationError `ERR_DELEGATION_DENIED` for a machine, and for a claim or an answer that is missing or
   * malformed.
   */
  principal(session: Session): string | undefined
  /** Whether two identities are one person. */
  linked(a: Identity, b: Identity): boolean
}

const RULE_MEMBERS: ReadonlySet<string> = new Set([
  'issuer',
  'claim',
  'template',
  'table',
  'principal',
  'pattern',
  'acceptMutableClaim',
])
const MAX_BYTES = 255
const ASCII = /^[\x20-\x7e]+$/
const LOOSE_SPACE = /^ | $| {2}/
const DEFAULT_PATTERN = /^(?![.-])[A-Za-z0-9._-]+(?<!\.)$/
const DEFAULT_CHARACTERS = /^[A-Za-z0-9._-]*$/
const IMMUTABLE: ReadonlySet<string> = new Set(['sub', 'oid'])

type Spell = (principal: unknown) => string | undefined

interface Rule {
  readonly option: string
  readonly issuer: string
  resolve(session: Session): string | undefined
  readonly affixes?: Affixes
  /** Whether `principal` may be that of `subject`; true where that is not known. For rules with affixes. */
  mayBe?(subject: string, principal: string): boolean
  /** Principal to the identity that has it. */
  readonly table?: ReadonlyMap<string, Identity>
}

/**
 * A mapping from sessions to the principals of one backend. Different values of a claim, and different rows of a table,
 * are proven to give different principals under the backend's case rule, also across issuers. Links make one exception:
 * the row of a table may have a principal of another row, or of another issuer's claim, where both are one person's. For
 * the claim `sub` that is proven; for any other claim, a linked identity at that issuer is taken to be the one with the
 * value.
 * @throws TypeError naming the option that is malformed, or the two that could give two people one principal. Two claims
 * or templates that can meet are such, whatever is linked: who asks first would have the account of somebody else.
 */
export function principalMapping(options: PrincipalMappingOptions): PrincipalMapping {
  if (options?.case !== 'sensitive' && options?.case !== 'insensitive')
    throw new TypeError("\"case\" must be 'sensitive' or 'insensitive'")
  if (!Array.isArray(options.issuers)) throw new TypeError('"issuers" must be a list of rules')
  const insensitive = options.case === 'insensitive'
  const spell: Spell = (principal) => {
    if (!isCleanText(principal, MAX_BYTES) || LOOSE_SPACE.test(principal)) return undefined
    if (!insensitive) return principal
    return ASCII.test(principal) ? principal.toLowerCase() : undefined
  }
  const links = new Links(options.links === undefined ? [] : options.links)
  const rules = new Map<string, Rule>()
  for (const [index, given] of options.issuers.entries()) {
    const rule = readRule(given, `issuers[${index}]`, spell, insensitive, links)
    if (rules.has(rule.issuer)) throw new TypeError(`"${rule.option}.issuer" has a rule already`)
    for (const other of rules.values()) refuseOverlap(other, rule, links)
    rules.set(rule.issuer, rule)
  }
  return Object.freeze({
    principal(session: Session): string | undefined {
      if (session.kind !== 'user') throw denied('a machine never acts as a user')
      return rules.get(session.issuer)?.resolve(session)
    },
    linked: (a: Identity, b: Identity): boolean => links.join(a, b),
  })
}

function denied(message: string): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message)
}

function readRule(given: PrincipalRule, option: string, spell: Spell, insensitive: boolean, links: Links): Rule {
  if (given === null || typeof given !== 'object') throw new TypeError(`"${option}" must be a rule`)
  // A misspelled pattern would let everything through.
  const unknown = Object.keys(given).find((name) => !RULE_MEMBERS.has(name))
  if (unknown !== undefined) throw new TypeError(`"${option}.${printable(unknown, 64)}" is not a member of a rule`)
  const { issuer, claim, template, table, principal, pattern, acceptMutableClaim } = given as Partial<
    ClaimRule & TemplateRule & TableRule & FunctionRule
  >
  if (!isCleanText(issuer, MAX_BYTES)) throw new TypeError(`"${option}.issuer" must be an issuer`)
  if ([claim, template, table, principal].filter((kind) => kind !== undefined).length !== 1)
    throw new TypeError(`"${option}" must have exactly one of claim, template, table and principal`)
  if (claim !== undefined || template !== undefined) {
    const source = template === undefined ? readClaim(claim, option) : readTemplate(template, option)
    const [name = ''] = source.path
    if (acceptMutableClaim !== true && !(source.path.length === 1 && IMMUTABLE.has(name)))
      throw new TypeError(`"${option}.acceptMutableClaim" must be true for a claim that users may be able to edit`)
    return affixRule({ ...source, option, issuer, pattern: readPattern(pattern, option), spell, insensitive })
  }
  if (pattern !== undefined || acceptMutableClaim !== undefined)
    throw new TypeError(`"${option}": pattern and acceptMutableClaim are for a claim or a template`)
  return table === undefined
    ? functionRule(principal, option, issuer, spell)
    : tableRule(table, option, issuer, spell, links)
}

interface ClaimSource {
  readonly path: readonly string[]
  readonly prefix: string
  readonly suffix: string
}

function readClaim(claim: unknown, option: string): ClaimSource {
  const path: readonly unknown[] = Array.isArray(claim) ? [...claim] : [claim]
  if (path.length === 0 || !path.every((name): name is string => isCleanText(name, MAX_BYTES)))
    throw new TypeError(`"${option}.claim" must be the name of a claim, or a path of names`)
  return { path, prefix: '', suffix: '' }
}

function readTemplate(template: unknown, option: string): ClaimSource {
  const [, prefix, name, suffix] = /^([^{}]*)\{([^{}]+)\}([^{}]*)$/.exec(String(template)) ?? []
  if (!isCleanText(template, MAX_BYTES) || prefix === undefined || name === undefined || suffix === undefined)
    throw new TypeError(`"${option}.template" must hold exactly one placeholder, the name of a claim in braces`)
  return { path: [name], prefix, suffix }
}

function readPattern(pattern: unknown, option: string): RegExp {
  if (pattern === undefined) return DEFAULT_PATTERN
  if (!(pattern instanceof RegExp) || !/^[isuv]*$/.test(pattern.flags))
    throw new TypeError(`"${option}.pattern" must be a regular expression with no other flags than i, s, u and v`)
  return new RegExp(`^(?:${pattern.source})$`, pattern.flags)
}

function affixRule(
  given: ClaimSource & Pick<Rule, 'option' | 'issuer'> & { pattern: RegExp; spell: Spell; insensitive: boolean },
): Rule {
  const { path, prefix, suffix, option, issuer, pattern, spell, insensitive } = given
  if (spell(`${prefix}x${suffix}`) === undefined)
    throw new TypeError(`"${option}.template" must be clean text${insensitive ? ', in ASCII' : ''}`)
  const spelled = (text: string): string => (insensitive ? text.toLowerCase() : text)
  const isDefault = pattern === DEFAULT_PATTERN
  return {
    option,
    issuer,
    affixes: {
      prefix: spelled(prefix),
      suffix: spelled(suffix),
      holds: (characters) => !isDefault || DEFAULT_CHARACTERS.test(characters),
      matches: (value) => (insensitive && !isDefault) || pattern.test(value),
    },
    mayBe: (subject, principal) => !isSubject(path) || spell(prefix + subject + suffix) === principal,
    resolve(session) {
      const value = claimOf(session, path)
      const matched = isCleanText(value, MAX_BYTES) && pattern.test(value)
      const principal = matched ? spell(prefix + value + suffix) : undefined
      if (principal === undefined) throw denied(`the claim '${path.join('.')}' is missing or malformed`)
      return principal
    },
  }
}

function isSubject(path: readonly string[]): boolean {
  return path.length === 1 && path[0] === 'sub'
}

function claimOf(session: Session, path: readonly string[]): unknown {
  if (isSubject(path)) return session.subject
  let value: unknown = session.claims
  for (const name of path) {
    if (value === null || typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function tableRule(given: unknown, option: string, issuer: string, spell: Spell, links: Links): Rule {
  if (given === null || typeof given !== 'object' || Array.isArray(given))
    throw new TypeError(`"${option}.table" must be an object or a Map`)
  const rows: Iterable<[unknown, unknown]> = given instanceof Map ? given : Object.entries(given)
  const principals = new Map<string, string>()
  const table = new Map<string, Identity>()
  for (const [subject, value] of rows) {
    const principal = spell(value)
    if (!isCleanText(subject, MAX_BYTES) || principal === undefined)
      throw new TypeError(`"${option}.table" must map subjects to principals, all clean text that the case rule allows`)
    const who = { issuer, subject }
    const other = table.get(principal)
    if (other !== undefined && !links.join(other, who)) throw twoPeople(option, principal)
    if (other === undefined) table.set(principal, who)
    principals.set(subject, principal)
  }
  return { option, issuer, table, resolve: (session) => principals.get(session.subject) }
}

function functionRule(given: unknown, option: string, issuer: string, spell: Spell): Rule {
  if (typeof given !== 'function') throw new TypeError(`"${option}.principal" must be a function`)
  const ask = given as FunctionRule['principal']
  return {
    option,
    issuer,
    resolve(session) {
      const answer: unknown = ask(session)
      if (answer === undefined) return undefined
      if (answer instanceof Promise) answer.catch(() => {})
      const principal = spell(answer)
      if (principal === undefined) throw denied('the mapping answered with a malformed principal')
      return principal
    },
  }
}

/** Who is the same person as whom. */
class Links {
  readonly #group = new Map<string, readonly Identity[]>()

  constructor(given: unknown) {
    if (!Array.isArray(given)) throw new TypeError('"links" must be a list of lists of identities')
    for (const [index, people] of given.entries()) {
      const option = `links[${index}]`
      if (!Array.isArray(people) || people.length < 2)
        throw new TypeError(`"${option}" must be a list of two identities or more`)
      const group: Identity[] = []
      for (const who of people as readonly Partial<Identity>[]) {
        const { issuer, subject } = who ?? {}
        if (!isCleanText(issuer, MAX_BYTES) || !isCleanText(subject, MAX_BYTES))
          throw new TypeError(`"${option}" must hold identities: { issuer, subject }`)
        const key = identityKey({ issuer, subject })
        if (this.#group.has(key)) throw new TypeError(`"${option}" holds an identity that is in a list already`)
        this.#group.set(key, group)
        group.push({ issuer, subject })
      }
    }
  }

  join(a: Identity, b: Identity): boolean {
    const [one, other] = [identityKey(a), identityKey(b)]
    const group = this.#group.get(one)
    return one === other || (group !== undefined && group === this.#group.get(other))
  }

  /** The subjects that `who` is at `issuer`. */
  subjects(who: Identity, issuer: string): readonly string[] {
    const group = this.#group.get(identityKey(who)) ?? []
    return group.filter((other) => other.issuer === issuer).map(({ subject }) => subject)
  }
}

function twoPeople(option: string, principal: string, other = option): TypeError {
  const both = option === other ? `"${option}"` : `"${other}" and "${option}"`
  const example = printable(principal, 64)
  return new TypeError(`${both} could give '${example}' to two people; "links" may join only rows of a table to others`)
}

function refuseOverlap(one: Rule, two: Rule, links: Links): void {
  if (one.affixes !== undefined && two.affixes !== undefined && affixesMeet(one.affixes, two.affixes))
    throw twoPeople(two.option, `${two.affixes.prefix}…${two.affixes.suffix}`, one.option)
  for (const [rule, { issuer, table, affixes, mayBe }] of [
    [one, two],
    [two, one],
  ] as const) {
    for (const [principal, who] of rule.table ?? []) {
      const owner = table?.get(principal)
      const sameRow = owner !== undefined && !links.join(owner, who)
      const sameAffixes =
        affixes !== undefined &&
        gives(affixes, principal) &&
        !links.subjects(who, issuer).some((subject) => mayBe?.(subject, principal))
      if (sameRow || sameAffixes) throw twoPeople(two.option, principal, one.option)
    }
  }
}
