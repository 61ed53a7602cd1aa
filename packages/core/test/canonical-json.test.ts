import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson } from '../src/canonical-json.ts'

const plainJson = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme-ascii' })

function refused(value: unknown): boolean {
  try {
    canonicalJson(value)
    return false
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return true
  }
}

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, shuffled(member)]),
  )
}

test('sorts names at every level', () => {
  expect(canonicalJson({ b: 1, a: { d: [2, { z: null, y: true }], c: 'x' } })).toBe(
    '{"a":{"c":"x","d":[2,{"y":true,"z":null}]},"b":1}',
  )
})

test('takes an absent and an undefined property for the same', () => {
  expect(canonicalJson({ a: 1, b: undefined })).toBe(canonicalJson({ a: 1 }))
})

test('is JSON of an equal value, whatever the order of properties', () => {
  fc.assert(
    fc.property(plainJson, (value) => {
      fc.pre(!refused(value))
      const text = canonicalJson(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalJson(shuffled(value))).toBe(text)
      expect(canonicalJson(JSON.parse(text))).toBe(text)
    }),
  )
})

test('gives different values different texts', () => {
  fc.assert(
    fc.property(plainJson, plainJson, (one, two) => {
      fc.pre(!refused(one) && !refused(two))
      const same = JSON.stringify(shuffled(JSON.parse(canonicalJson(one)))) // -0 and 0 are one number in JSON
      const other = JSON.stringify(shuffled(JSON.parse(canonicalJson(two))))
      expect(canonicalJson(one) === canonicalJson(two)).toBe(same === other)
    }),
  )
})

test('tells apart what naive joining confuses', () => {
  const texts = [
    ['a,b'],
    ['a', 'b'],
    ['a"', '"b'],
    { a: 'b' },
    '{"a":"b"}',
    1,
    '1',
    null,
    'null',
    [],
    [[]],
    {},
    '',
  ].map(canonicalJson)
  expect(new Set(texts).size).toBe(texts.length)
})

const cyclic: Record<string, unknown> = {}
cyclic['self'] = cyclic

const REFUSED: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  'undefined in a list': [undefined],
  'a hole in a list': new Array(1),
  'not a number': Number.NaN,
  infinity: { a: Number.POSITIVE_INFINITY },
  'a bigint': 1n,
  'a symbol': Symbol('a'),
  'a function': { a: () => 1 },
  'a date': { a: new Date(0) },
  'a map': new Map(),
  'a set': { a: new Set([1]) },
  'an instance of a class': new (class A {
    a = 1
  })(),
  'a boxed string': Object('a'),
  'a typed array': new Uint8Array(2),
  'an object with toJSON': { toJSON: () => 'x' },
  'a cycle': cyclic,
  'a control character': { a: 'b\nc' },
  'a lone surrogate': ['\ud800'],
  'a bidirectional control': '\u202e',
  'a name with a control character': { 'a\0': 1 },
  'an empty name': { '': 1 },
  'a long name': { ['n'.repeat(256)]: 1 },
  'the name __proto__': JSON.parse('{"__proto__":{"admin":true}}'),
  'the name constructor': { constructor: 1 },
  'the name prototype': { a: { prototype: 1 } },
}

for (const [what, value] of Object.entries(REFUSED))
  test(`refuses ${what}`, () => {
    expect(() => canonicalJson(value)).toThrow(TypeError)
  })

test('takes prototype names as values, and what objects inherit for nothing', () => {
  expect(canonicalJson(['__proto__', 'constructor'])).toBe('["__proto__","constructor"]')
  expect(canonicalJson(Object.create(null, { a: { value: 1, enumerable: true } }))).toBe('{"a":1}')
})

test('takes plain objects of another realm', () => {
  expect(canonicalJson(runInNewContext('({ b: [1], a: {} })'))).toBe('{"a":{},"b":[1]}')
  expect(() => canonicalJson(runInNewContext('new Date(0)'))).toThrow(TypeError)
})

test('refuses more than 8 levels', () => {
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
  expect(canonicalJson(nested(8))).toBe('[[[[[[[[1]]]]]]]]')
  expect(() => canonicalJson(nested(9))).toThrow('nested')
})

test('refuses more than 8,192 characters, in one string or in many', () => {
  expect(canonicalJson('x'.repeat(8190))).toHaveLength(8192)
  expect(() => canonicalJson('x'.repeat(8191))).toThrow(TypeError)
  expect(() => canonicalJson(new Array(5000).fill(1))).toThrow('large')
  expect(() => canonicalJson(Object.fromEntries(new Array(3000).fill(0).map((_, i) => [`n${i}`, i])))).toThrow('large')
})

test('stops early on a small object that is vast when written out', () => {
  let value: unknown = 1
  for (let level = 0; level < 8; level++) value = new Array(4000).fill(value)
  const start = performance.now()
  expect(() => canonicalJson(value)).toThrow('large')
  expect(performance.now() - start).toBeLessThan(1000)
})

test('does not repeat hostile input in its message', () => {
  for (const value of Object.values(REFUSED))
    try {
      canonicalJson(value)
    } catch (error) {
      expect(String(error)).toMatch(/^TypeError: [\x20-\x7e]{1,80}$/)
    }
})
