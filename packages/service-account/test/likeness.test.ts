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
    ['a b', 'a\u00a0b', 'a  b'],
    ['σ', 'ς', 'Σ'],
  ])
    expect(new Set(names.map(looks)).size, names.join()).toBe(1)
})

test('other names look different', () => {
  const names = ['alice', 'bob', 'a.b@c', 'a_b_c', 'a-b-c', 'alice2', 'al ice', '__proto__', '山田', '山本']
  expect(new Set(names.map(looks)).size).toBe(names.length)
})
