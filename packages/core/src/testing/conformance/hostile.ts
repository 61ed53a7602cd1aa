/** Texts that have broken parsers, paths, tables and logs. */
export const HOSTILE_TEXTS: readonly string[] = [
  '',
  ' ',
  '\0',
  'line\r\nbreak',
  '\u001b[2J',
  '\u202eright-to-left',
  '\ud800',
  '\udfff\ud800',
  'x'.repeat(10_240),
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '*',
  '+',
  "' OR '1'='1",
  '{{7*7}}',
]

const circular = (): object => {
  const object: Record<string, unknown> = {}
  object['self'] = object
  return object
}

const nested = (depth: number): unknown => {
  let value: unknown = 'bottom'
  for (let level = 0; level < depth; level++) value = { value }
  return value
}

const STRANGE: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => 10n,
  () => Symbol('strange'),
  () => () => 'function',
  () => [],
  () => ({}),
  () => new Date(0),
  () => new Map([['key', 'value']]),
  () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  circular,
  () => nested(5_000),
]

/** Requests made from a good one: strange as a whole, and with each of its members replaced by something hostile. */
export function* hostileRequests(good: unknown): Iterable<unknown> {
  const hostile = [...HOSTILE_TEXTS.map((text) => () => text), ...STRANGE]
  for (const make of hostile) yield make()
  for (const path of leavesOf(good)) for (const make of hostile) yield withMember(good, path, make())
  for (const text of HOSTILE_TEXTS) if (isRecord(good)) yield withMember(good, [text], 'unexpected')
}

/** The names by which a request could ask to be somebody else. */
const IMPERSONATING: readonly string[] = [
  'account',
  'as',
  'impersonate',
  'onBehalfOf',
  'principal',
  'runAs',
  'sub',
  'subject',
  'user',
  'userPrincipalName',
  'username',
]

/** Requests made from a good one that name `who` in every place. */
export function* namingRequests(good: unknown, who: string): Iterable<unknown> {
  for (const path of leavesOf(good)) yield withMember(good, path, who)
  if (isRecord(good)) for (const name of IMPERSONATING) yield withMember(good, [name], who)
}

type Path = readonly string[]

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function leavesOf(value: unknown, path: Path = []): readonly Path[] {
  if (!isRecord(value)) return path.length === 0 ? [] : [path]
  return Object.keys(value).flatMap((name) => leavesOf(value[name], [...path, name]))
}

function withMember(value: unknown, [name, ...rest]: Path, member: unknown): unknown {
  if (name === undefined) return member
  const copy: Record<string, unknown> = Array.isArray(value)
    ? ([...value] as unknown as Record<string, unknown>)
    : { ...(value as object) }
  const replaced = withMember(copy[name], rest, member)
  Object.defineProperty(copy, name, { value: replaced, enumerable: true, writable: true, configurable: true })
  return copy
}
