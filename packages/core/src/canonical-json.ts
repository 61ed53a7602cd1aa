import { isCleanText } from './text.ts'

/** What {@link canonicalJson} refuses beyond; sizes in UTF-16 code units. */
const MAX_LENGTH = 8192
const MAX_DEPTH = 8
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
/** ASCII that stands in JSON as it is. */
const UNESCAPED = /^[ !#-[\]-~]*$/

/**
 * JSON with sorted keys: equal values have equal texts, whatever the order of their properties. Absent and undefined
 * properties are the same.
 * @throws TypeError for what is not plain JSON, for hostile strings and names, and beyond 8 levels or 8,192 characters.
 */
export function canonicalJson(value: unknown): string {
  return bounded(write(value, 0))
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      if (value !== '' && !isCleanText(value, MAX_LENGTH))
        throw new TypeError('holds a string that is malformed, too long or has control characters')
      return quoted(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('holds a number that is not finite')
      return JSON.stringify(value)
    case 'object':
      if (value === null) return 'null'
      if (depth === MAX_DEPTH) throw new TypeError('is nested too deeply')
      return Array.isArray(value) ? writeArray(value, depth) : writeObject(value, depth)
    default:
      throw new TypeError('holds something that is not JSON')
  }
}

function quoted(text: string): string {
  return UNESCAPED.test(text) ? `"${text}"` : JSON.stringify(text)
}

function bounded(text: string): string {
  if (text.length > MAX_LENGTH) throw new TypeError('is too large')
  return text
}

function writeArray(array: readonly unknown[], depth: number): string {
  let text = '['
  for (let index = 0; index < array.length; index++)
    text = bounded(`${text}${index > 0 ? ',' : ''}${write(array[index], depth + 1)}`)
  return `${text}]`
}

/** Whether `value` is what an object literal or JSON gives, in any realm. */
export function isPlainObject(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function writeObject(object: object, depth: number): string {
  if (!isPlainObject(object)) throw new TypeError('holds an object that is not plain')
  const names = Object.keys(object)
  if (names.length > 1) names.sort()
  let text = ''
  for (const name of names) {
    const member = (object as Record<string, unknown>)[name]
    if (member === undefined) continue
    if (FORBIDDEN.has(name) || !isCleanText(name, 255)) throw new TypeError('holds a property with a forbidden name')
    text = bounded(`${text}${text === '' ? '' : ','}${quoted(name)}:${write(member, depth + 1)}`)
  }
  return `{${text}}`
}
