import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { format, inspect } from 'node:util'
import { serialize } from 'node:v8'
import { expect, test } from 'vitest'
import { secret } from '../src/secret.ts'

const VALUE = 'correct-horse-battery'
const password = secret(VALUE)

test('reveals what it holds, of any type', () => {
  expect(password.reveal()).toBe(VALUE)
  const key = new Uint8Array([1, 2, 3])
  expect(secret(key).reveal()).toBe(key)
})

const printed: Readonly<Record<string, () => string>> = {
  inspect: () => inspect(password),
  'inspect with everything shown': () =>
    inspect(password, { showHidden: true, depth: null, getters: true, showProxy: true }),
  'inspect without custom functions': () => inspect(password, { customInspect: false, showHidden: true }),
  'inspect deep inside': () => inspect({ a: [{ b: new Map([['c', { password }]]) }] }, { depth: null }),
  'inspect beyond the depth': () => inspect({ a: { b: { c: { password } } } }, { depth: 0 }),
  'a template': () => `${password}`,
  'a sum': () => ['', password].reduce<unknown>((sum, part) => (sum as string) + (part as string), '') as string,
  String: () => String(password),
  toString: () => password.toString(),
  toLocaleString: () => password.toLocaleString(),
  'Array.join': () => [password, password].join(),
  'JSON.stringify': () => JSON.stringify(password),
  'JSON.stringify deep inside': () => JSON.stringify({ login: { password } }, null, 2),
  '%s': () => format('%s', password),
  '%o': () => format('%o', password),
  '%O': () => format('%O', { password }),
  '%j': () => format('%j', password),
  '%d': () => format('%d', password),
  'Object.entries': () => JSON.stringify([Object.entries(password), Reflect.ownKeys(password)]),
  spread: () => inspect({ ...password }, { showHidden: true }),
  structuredClone: () => inspect(structuredClone(password), { showHidden: true, customInspect: false }),
  'v8.serialize': () => serialize(password).toString('latin1'),
  'an error message': () => inspect(new Error(`login with ${password} failed`)),
  'an error cause': () => inspect(new Error('login failed', { cause: { password } }), { depth: null }),
  'an error property': () => inspect(Object.assign(new Error('login failed'), { password })),
  'a key of an object': () => Object.keys({ [password as unknown as string]: 1 }).join(),
}

for (const [way, print] of Object.entries(printed))
  test(`is not printed by ${way}`, () => {
    expect(print()).not.toContain(VALUE)
  })

test('prints [redacted] where something is printed', () => {
  for (const way of ['inspect', 'a template', 'String', 'JSON.stringify', '%s', '%o', '%j'] as const)
    expect(printed[way]?.()).toContain('[redacted]')
})

test('is not printed by a console', () => {
  const chunks: string[] = []
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  const console = new Console({ stdout })
  console.log(password, { password }, '%s', password)
  console.dir({ password }, { showHidden: true, depth: null })
  console.table([{ password }])
  expect(chunks.join('')).toContain('[redacted]')
  expect(chunks.join('')).not.toContain(VALUE)
})

test('cannot be changed so that another one is revealed or printed', () => {
  for (const change of [
    () => Object.assign(password, { reveal: () => 'other' }),
    () => Object.assign(password, { toString: () => 'other' }),
    () => Object.defineProperty(password, 'toJSON', { value: () => 'other' }),
    () => Object.assign(Object.getPrototypeOf(password), { reveal: () => 'other' }),
    () => Object.defineProperty(Object.getPrototypeOf(password), inspect.custom, { value: () => 'other' }),
    () => Object.setPrototypeOf(password, {}),
  ])
    expect(change).toThrow(TypeError)
  expect(password.reveal()).toBe(VALUE)
})
