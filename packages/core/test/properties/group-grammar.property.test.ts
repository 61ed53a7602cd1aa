import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type GroupGrammarOptions, type GroupRule, groupGrammar, type Reading } from '../../src/group-grammar.ts'
import { readByTrial } from './grammar-by-trial.ts'
import { expectOften, runs } from './runs.ts'

// Few characters and short constants, so that what separates, what is reserved and what is a name meet everywhere.
const constant = fc.string({ unit: fc.constantFrom('a', 'b', '_'), maxLength: 3 })
const separator = fc.constantFrom('_', '_', '_', 'a', '_b', 'ab')
const rule: fc.Arbitrary<GroupRule<string>> = fc
  .record({
    names: fc.subarray(['x', 'y', 'z', 'w']),
    separators: fc.array(separator, { minLength: 3, maxLength: 3 }),
    before: constant,
    after: constant,
    level: fc.constantFrom('low', 'high'),
    extra: fc.array(fc.constantFrom('a', 'x', 'ab'), { maxLength: 2 }),
    reversed: fc.boolean(),
  })
  .filter(({ names, before, after }) => names.length > 0 || before + after !== '')
  .map(({ names, separators, before, after, level, extra, reversed }) => {
    const between = names.map((name, index) => `${index === 0 ? '' : separators[index - 1]}{${name}}`)
    const area = [...extra, ...names.map((name) => `{${name}}`)]
    return { pattern: before + between.join('') + after, level, area: reversed ? area.reverse() : area }
  })
const value = fc.string({ unit: fc.constantFrom('a', 'b', '_', '_'), minLength: 1, maxLength: 4 })
const alphabet = fc.constantFrom('ab', 'a', '_', 'b_', 'a-b_', 'a-b_', 'a-b_')
const options: fc.Arbitrary<GroupGrammarOptions<string>> = fc
  .record({
    rules: fc.uniqueArray(rule, { minLength: 1, maxLength: 3, selector: ({ pattern }) => pattern }),
    names: fc.record({ x: alphabet, y: alphabet, z: alphabet, w: alphabet }, { requiredKeys: ['x', 'y'] }),
    reserved: fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '_'), minLength: 1, maxLength: 3 }), {
      maxLength: 3,
    }),
  })
  .map(({ rules, names, reserved }) => {
    const used = Object.entries(names).filter(([name]) => rules.some(({ pattern }) => pattern.includes(`{${name}}`)))
    return { rules, names: Object.fromEntries(used), reserved }
  })

/** Names that follow a rule more often than chance would have it. */
const nameFor = ({ rules }: GroupGrammarOptions<string>): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'b', '_'), maxLength: 9 }),
    fc
      .tuple(fc.constantFrom(...rules), fc.array(value, { minLength: 4, maxLength: 4 }))
      .map(([{ pattern }, values]) => {
        let next = 0
        return pattern.replace(/\{\w\}/g, () => values[next++] ?? '')
      }),
  )

it('reads every name as the trial of all ways to split it does', () => {
  const seen = { grant: 0, ambiguous: 0, none: 0, later: 0 }
  fc.assert(
    fc.property(
      options.chain((given) => fc.tuple(fc.constant(given), fc.array(nameFor(given), { minLength: 1, maxLength: 8 }))),
      ([given, names]) => {
        const grammar = groupGrammar(given)
        for (const name of names) {
          const expected = readByTrial(given, name)
          expect(plain(grammar.read(name))).toEqual(expected.reading)
          if (expected.reading === 'none' || expected.reading === 'ambiguous') seen[expected.reading]++
          else seen[expected.rule > 0 ? 'later' : 'grant']++
        }
      },
    ),
    runs(2_000),
  )
  expectOften(seen, 2_000)
})

it('gives two names one area by one rule only where they are equal', () => {
  const grammar = groupGrammar({
    rules: [{ pattern: 'CS_{x}_PRJ_{y}_USER', area: ['{x}', '{y}'], level: 'user' }],
    names: { x: 'A-Za-zÀ-ÿ_.-', y: 'A-Za-zÀ-ÿ_.-' },
    reserved: ['PRJ'],
  })
  const value = fc.string({ unit: fc.constantFrom('a', 'A', 'é', 'e', '_', '_PRJ_', '.', '-', 'ß', 's'), maxLength: 4 })
  const name = fc.tuple(value, value).map(([x, y]) => `CS_${x}_PRJ_${y}_USER`)
  let read = 0
  fc.assert(
    fc.property(name, name, (one, other) => {
      const areas = [one, other].map((text) => grammar.read(text).grant?.area)
      fc.pre(areas.every((area) => area !== undefined))
      read++
      expect(JSON.stringify(areas[0]) === JSON.stringify(areas[1])).toBe(one === other)
    }),
    runs(1_000),
  )
  expectOften({ read }, 1_000)
})

it('answers whatever text there is, in one way', () => {
  const grammar = groupGrammar({
    rules: [{ pattern: 'CS_{x}_{y}', area: ['{x}', '{y}'], level: 'user' }],
    names: { x: ' -~', y: ' -~' },
  })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string().map((text) => `CS_${text}`),
      ),
      (text) => {
        const reading = grammar.read(text)
        expect((reading.grant === undefined) !== (reading.ignored === undefined)).toBe(true)
        expect(grammar.read(text)).toEqual(reading)
      },
    ),
    runs(500),
  )
})

function plain(reading: Reading<string>): unknown {
  if (reading.grant !== undefined) return { level: reading.grant.level, area: reading.grant.area }
  return reading.ignored.startsWith('it can be read in two ways') ? 'ambiguous' : 'none'
}
