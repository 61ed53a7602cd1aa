import { checkMembers, checkObject, isArea, MAX_NAME_BYTES, nameList } from './checks.ts'
import type { Area, Grant } from './permission-options.ts'
import { isCleanText } from './text.ts'

/** What a group's name means: exactly one of the two, for every text. */
export type Reading<Level extends string> =
  | { readonly grant: Grant<Level>; readonly ignored?: undefined }
  | { readonly grant?: undefined; readonly ignored: string }

/** A convention for the names of groups. */
export interface GroupRule<Level extends string> {
  /**
   * The whole name of a group, with at most four placeholders in braces: `CS_{domain}_PRJ_{key}_USER`. Each stands for
   * one name, and all but the last are followed by constant text.
   */
  readonly pattern: string
  readonly level: Level
  /**
   * Where the level holds: constant names, and placeholders (`'{domain}'`), of which each of the pattern's must be there,
   * so that what one domain grants never holds in another. Default: in the whole.
   */
  readonly area?: Area | undefined
}

/** Options of `groupGrammar`. */
export interface GroupGrammarOptions<Level extends string> {
  /** The first one that a name follows counts. */
  readonly rules: readonly GroupRule<Level>[]
  /**
   * By placeholder: the characters of its names, with ranges: `'A-Z0-9_'`. Without the character that separates the parts
   * of a group's name, every name is clear. Default: `'A-Za-z0-9'`.
   */
  readonly names?: Readonly<Record<string, string>> | undefined
  /** What no placeholder stands for: the words that have a meaning of their own in these conventions. Default: none. */
  readonly reserved?: readonly string[] | undefined
}

/** Reads the names of groups that follow a convention. */
export interface GroupGrammar<Level extends string> {
  /** What it can grant. */
  readonly rules: readonly GroupRule<Level>[]
  /** Pure, synchronous and total: what follows no rule is ignored, with the reason. */
  read(group: string): Reading<Level>
}

/** So that the number of readings of a name is counted exactly. */
const MAX_PLACEHOLDERS = 4
const LETTERS_AND_DIGITS = 'A-Za-z0-9'
const PLACEHOLDER = /\{([^{}]*)\}/
const UNKNOWN: Reading<never> = Object.freeze({ ignored: 'it follows no rule' })
const TOO_LONG: Reading<never> = Object.freeze({ ignored: `it is longer than ${MAX_NAME_BYTES} characters` })

/** A placeholder, and the constant text after it. */
interface Part {
  readonly name: string
  readonly alphabet: ReadonlySet<string>
  /** What it does not stand for, of what its alphabet can write. */
  readonly reserved: readonly string[]
  readonly after: string
}

interface Pattern {
  readonly before: string
  readonly parts: readonly Part[]
}

/**
 * A grammar for groups: which names follow a convention, which level they grant, and where. Names are compared exactly,
 * as a whole, in time proportional to their length; a name that one rule can read in two ways is ignored, whatever later
 * rules say.
 * @throws TypeError naming the option that is wrong.
 */
export function groupGrammar<const Level extends string>(options: GroupGrammarOptions<Level>): GroupGrammar<Level> {
  checkMembers(options, 'options', ['rules', 'names', 'reserved'])
  const { rules: given, names = {}, reserved = [] } = options
  if (!Array.isArray(given) || given.length === 0) throw new TypeError('"rules" must be a list of one rule or more')
  checkObject(names, 'names')
  const alphabets = new Map(Object.entries(names).map(([name, text]) => [name, alphabetOf(text, `names.${name}`)]))
  const words = Array.isArray(reserved) && reserved.length === 0 ? [] : nameList(reserved, 'reserved')
  const rules = given.map((rule, index) => readRule<Level>(rule, `rules[${index}]`, alphabets, words))
  for (const [index, { rule }] of rules.entries())
    if (rules.findIndex((other) => other.rule.pattern === rule.pattern) < index)
      throw new TypeError(`"rules[${index}].pattern" has a rule already`)
  const unused = [...alphabets.keys()].find((name) => !rules.some((rule) => placeholders(rule.pattern).includes(name)))
  if (unused !== undefined) throw new TypeError(`"names.${unused}" is no placeholder of any rule`)
  return Object.freeze({
    rules: Object.freeze(rules.map(({ rule }) => rule)),
    read(group: string): Reading<Level> {
      if (typeof group !== 'string') return UNKNOWN
      if (group.length > MAX_NAME_BYTES) return TOO_LONG
      for (const { rule, pattern } of rules) {
        const values = match(pattern, group)
        if (values === 'ambiguous') return { ignored: `it can be read in two ways by ${rule.pattern}` }
        if (values !== undefined) return { grant: { level: rule.level, area: fill(rule.area ?? [], values) } }
      }
      return UNKNOWN
    },
  })
}

function readRule<Level extends string>(
  given: GroupRule<Level>,
  option: string,
  alphabets: ReadonlyMap<string, ReadonlySet<string>>,
  words: readonly string[],
): { readonly rule: GroupRule<Level>; readonly pattern: Pattern } {
  checkMembers(given, option, ['pattern', 'level', 'area'])
  const { pattern: text, level, area = [] } = given
  if (!isCleanText(level, 255)) throw new TypeError(`"${option}.level" must be the name of a level`)
  const pattern = readPattern(text, `${option}.pattern`, alphabets, words)
  if (!isArea(area)) throw new TypeError(`"${option}.area" must be a list of at most 16 names and placeholders`)
  const used = placeholders(pattern)
  for (const name of area)
    if (/[{}]/.test(name) && !used.some((placeholder) => name === `{${placeholder}}`))
      throw new TypeError(`"${option}.area" must hold constant names and placeholders of the pattern`)
  // What is left out would grant the level everywhere to whom it is granted in one place.
  const forgotten = used.find((name) => !area.includes(`{${name}}`))
  if (forgotten !== undefined) throw new TypeError(`"${option}.area" must hold the placeholder {${forgotten}}`)
  return { rule: Object.freeze({ pattern: text, level, area: Object.freeze([...area]) }), pattern }
}

function placeholders({ parts }: Pattern): readonly string[] {
  return parts.map(({ name }) => name)
}

function readPattern(
  text: unknown,
  option: string,
  alphabets: ReadonlyMap<string, ReadonlySet<string>>,
  words: readonly string[],
): Pattern {
  if (!isCleanText(text, MAX_NAME_BYTES)) throw new TypeError(`"${option}" must be a text`)
  const [before = '', ...pieces] = text.split(PLACEHOLDER)
  const parts: Part[] = []
  for (let index = 0; index < pieces.length; index += 2) {
    const name = pieces[index] ?? ''
    const alphabet = alphabets.get(name) ?? alphabetOf(LETTERS_AND_DIGITS, option)
    const reserved = words.filter((word) => [...word].every((character) => alphabet.has(character)))
    parts.push({ name, alphabet, reserved, after: pieces[index + 1] ?? '' })
  }
  if ([before, ...parts.map(({ after }) => after)].some((constant) => /[{}]/.test(constant)))
    throw new TypeError(`"${option}" must have its placeholders in braces`)
  if (!parts.every(({ name }) => /^\w+$/.test(name)))
    throw new TypeError(`"${option}" must name its placeholders with letters and digits`)
  if (parts.length > MAX_PLACEHOLDERS)
    throw new TypeError(`"${option}" must have at most ${MAX_PLACEHOLDERS} placeholders`)
  if (new Set(parts.map(({ name }) => name)).size < parts.length)
    throw new TypeError(`"${option}" must not have a placeholder twice`)
  if (parts.slice(0, -1).some(({ after }) => after === ''))
    throw new TypeError(`"${option}" must have constant text between two placeholders`)
  return { before, parts }
}

/** The characters of `A-Z0-9_`. */
function alphabetOf(text: unknown, option: string): ReadonlySet<string> {
  // In UTF-16, what is beyond the first plane is no single character.
  if (!isCleanText(text, 255) || /[\u{10000}-\u{10ffff}]/u.test(text))
    throw new TypeError(`"${option}" must be characters and ranges of characters, such as A-Z0-9`)
  const characters = new Set<string>()
  for (let index = 0; index < text.length; index++) {
    const first = text.charCodeAt(index)
    const isRange = text.charAt(index + 1) === '-' && index + 2 < text.length
    if (isRange) index += 2
    const last = text.charCodeAt(index)
    if (last < first) throw new TypeError(`"${option}" must have its ranges the right way round`)
    for (let code = first; code <= last; code++) characters.add(String.fromCharCode(code))
  }
  return characters
}

/** What the placeholders, in braces, stand for; `undefined` where the name does not follow the pattern. */
function match({ before, parts }: Pattern, name: string): ReadonlyMap<string, string> | 'ambiguous' | undefined {
  const last = parts.at(-1)
  if (last === undefined) return name === before ? new Map() : undefined
  if (!name.startsWith(before) || !name.endsWith(last.after)) return undefined
  // For each part and the one before the first: in how many ways the name can be read so far, by where the reading ends.
  const start: Float64Array = new Float64Array(name.length + 1)
  start[before.length] = 1
  const ways: Float64Array[] = [start]
  for (const part of parts) ways.push(readingsOf(part, name, ways.at(-1) ?? start))
  const readings = ways.at(-1)?.[name.length] ?? 0
  if (readings !== 1) return readings > 1 ? 'ambiguous' : undefined
  return trace(parts, name, ways)
}

/** In how many ways the name can be read up to each place, where it could be in so many before this part. */
function readingsOf({ alphabet, reserved, after }: Part, name: string, ways: Float64Array): Float64Array {
  const readings = new Float64Array(name.length + 1)
  /** The readings whose value for this placeholder has begun, and may still go on. */
  let open = 0
  for (let end = 0; end <= name.length; end++) {
    if (name.startsWith(after, end)) {
      let valid = open
      for (const word of reserved) if (name.endsWith(word, end)) valid -= ways[end - word.length] ?? 0
      readings[end + after.length] = valid
    }
    open = alphabet.has(name.charAt(end)) ? open + (ways[end] ?? 0) : 0
  }
  return readings
}

/** Follows the one reading that there is from its end. */
function trace(parts: readonly Part[], name: string, ways: readonly Float64Array[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  let reached = name.length
  for (let index = parts.length - 1; index >= 0; index--) {
    const { name: placeholder, reserved, after } = parts[index] as Part
    const end = reached - after.length
    const before = ways[index]
    let begin = end - 1
    while (before?.[begin] === 0 || reserved.includes(name.slice(begin, end))) begin--
    values.set(`{${placeholder}}`, name.slice(begin, end))
    reached = begin
  }
  return values
}

function fill(area: Area, values: ReadonlyMap<string, string>): Area {
  return Object.freeze(area.map((name) => values.get(name) ?? name))
}
