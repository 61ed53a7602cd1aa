import type { Area } from './permission-options.ts'
import { isCleanText, printable } from './text.ts'

/** How long names are: those of groups in a session, those of targets in a request. */
export const MAX_NAME_BYTES = 1024
const MAX_DEPTH = 16

/** @throws TypeError naming `option` for anything but an object that has no other members than these. */
export function checkMembers(value: unknown, option: string, members: readonly string[]): void {
  checkObject(value, option)
  // A misspelled condition would be none.
  const unknown = Object.keys(value).find((name) => !members.includes(name))
  if (unknown !== undefined) throw new TypeError(`"${option}" has no member ${printable(unknown, 64)}`)
}

/** @throws TypeError naming `option` for anything but an object; a list is none. */
export function checkObject(value: unknown, option: string): asserts value is object {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new TypeError(`"${option}" must be an object`)
}

/** @throws TypeError naming `option` unless `value` has these methods. */
export function checkMethods(value: unknown, option: string, methods: readonly string[], otherwise = ''): void {
  const members = (typeof value === 'object' || typeof value === 'function' ? (value ?? {}) : {}) as object
  if (methods.every((method) => typeof (members as Record<string, unknown>)[method] === 'function')) return
  throw new TypeError(`"${option}" must be ${otherwise}an object with the methods ${methods.join(', ')}`)
}

/** A copy. @throws TypeError naming `option` for anything but a list of one clean text or more, each only once. */
export function nameList(value: unknown, option: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every((name) => isCleanText(name, MAX_NAME_BYTES)))
    throw new TypeError(`"${option}" must be a list of one name or more`)
  if (new Set(value).size < value.length) throw new TypeError(`"${option}" must not name anything twice`)
  return Object.freeze([...value])
}

/** Whether `area` is what a level can hold in: at most 16 names, one inside the other. */
export function isArea(area: unknown): area is Area {
  if (!Array.isArray(area) || area.length > MAX_DEPTH) return false
  // A copy has no holes to skip.
  return [...area].every((name) => isCleanText(name, MAX_NAME_BYTES))
}
