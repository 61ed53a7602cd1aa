import fc from 'fast-check'
import { expect, it } from 'vitest'
import { canonicalJson } from '../../src/canonical-json.ts'
import { keyOf } from '../../src/session.ts'
import { runs } from './runs.ts'

/** Few different texts, so that equal and nearly equal ones meet; with what could be taken for syntax. */
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '"', ':', ',', '1', '{', '\\', 'é', '漢'), maxLength: 4 }),
  fc.string({ maxLength: 4 }),
)
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.integer({ min: -2, max: 2 }),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    tie('list'),
    tie('object'),
  ),
  list: fc.array(tie('json'), { maxLength: 3 }),
  object: fc.dictionary(text, tie('json'), { maxKeys: 3 }),
}))

function canonical(value: unknown): string | undefined {
  try {
    return canonicalJson(value)
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return undefined
  }
}

it('gives two JSON values one text only where they are equal', () => {
  fc.assert(
    fc.property(json, json, (one, other) => {
      const [left, right] = [canonical(one), canonical(other)]
      fc.pre(left !== undefined && right !== undefined)
      const equal = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
      expect(left === right).toBe(equal)
    }),
    runs(3_000),
  )
})

it('writes or refuses whatever there is, with a TypeError at the most', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
  })
  fc.assert(
    fc.property(anything, (value) => {
      const written = canonical(value)
      if (written !== undefined) expect(canonicalJson(JSON.parse(written))).toBe(written)
    }),
    runs(3_000),
  )
})

it('joins different lists of parts to different keys', () => {
  const parts = fc.array(fc.string({ unit: fc.constantFrom('1', '2', ':', 'a'), maxLength: 3 }), { maxLength: 4 })
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      expect(keyOf(...one) === keyOf(...other)).toBe(JSON.stringify(one) === JSON.stringify(other))
    }),
    runs(5_000),
  )
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.entries(value)
    .map(([name, member]) => [name, sorted(member)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
    .concat([['', 'an object']])
}
