import { expect, test } from 'vitest'
import { looks } from '../src/likeness.ts'

test('what a backend may take for one name looks the same', () => {
  for (const names of [
    ['alice', 'Alice', 'ALICE', 'ａｌｉｃｅ', 'a\u0301lice'],
    ['karl', '\u212aarl'],
    ['sass', 'ſaſs', 'saß', 'SAẞ'],
    ['rene', 'René', 'rene\u0301'],
    ['ida', '\u0130da', '\u0131da'],
    ['fi', '\ufb01'],
    ['a b', 'a\u00a0b', 'a  b', 'a\u2800b', 'a\u3000 b'],
    ['billing', 'billing\u00a0', '\u3000billing', 'billing\u2800', ' billing', 'billing\u3164 '],
    [
      'billing',
      'bill\u3164ing',
      'bill\uffa0ing',
      'bill\u115fing',
      'bill\ufe0fing',
      'bill\u034fing',
      'bill\u{e0100}ing',
    ],
    ['σ', 'ς', 'Σ'],
  ])
    expect(new Set(names.map(looks)).size, names.join()).toBe(1)
})

test('other names look different', () => {
  const names = [
    'alice',
    'bob',
    'a.b@c',
    'a_b_c',
    'a-b-c',
    'alice2',
    'al ice',
    '__proto__',
    '山田',
    '山本',
    'ø',
    'o',
    'ł',
    'l',
    'æ',
    'ae',
  ]
  expect(new Set(names.map(looks)).size).toBe(names.length)
})
