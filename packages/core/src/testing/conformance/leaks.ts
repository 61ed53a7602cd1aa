import { inspect } from 'node:util'

/** Whether `text` holds one of `secrets`, as it is or in an encoding from which it can be read back. */
export function leaks(text: string, secrets: Iterable<string>): boolean {
  for (const secret of secrets) if (encodings(secret).some((encoding) => text.includes(encoding))) return true
  return false
}

function encodings(needle: string): readonly string[] {
  const bytes = Buffer.from(needle)
  return [
    needle,
    JSON.stringify(needle).slice(1, -1),
    encodeURIComponent(bytes.toString()),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
  ]
}

/** Everything that somebody could print of `value`. */
export function printed(value: unknown): string {
  return [
    inspect(value, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    attempt(() => JSON.stringify(value)),
    attempt(() => String(value)),
    attempt(() => `${value instanceof Error ? `${value.message} ${value.stack}` : value}`),
  ].join('\n')
}

function attempt(print: () => string | undefined): string {
  try {
    return print() ?? ''
  } catch {
    return ''
  }
}

const MAX_OBJECTS = 10_000

/** Every text that can be reached from `value`, secrets revealed and bytes read as text; accessors are not called. */
export function textsIn(value: unknown): readonly string[] {
  const texts: string[] = []
  const seen = new Set<object>()
  const open: unknown[] = [value]
  while (open.length > 0 && seen.size < MAX_OBJECTS) {
    const next = open.pop()
    if (typeof next === 'string') texts.push(next)
    if (typeof next !== 'object' || next === null || seen.has(next)) continue
    seen.add(next)
    open.push(...membersOf(next))
  }
  return texts
}

function membersOf(value: object): readonly unknown[] {
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return [bytes.toString('utf8'), bytes.toString('utf16le')]
  }
  if (value instanceof Map || value instanceof Set) return [...value.keys(), ...value.values()]
  const members: unknown[] = []
  for (const { value: member } of Object.values(Object.getOwnPropertyDescriptors(value))) members.push(member)
  if ('reveal' in value && typeof value.reveal === 'function') members.push(value.reveal())
  return members
}
