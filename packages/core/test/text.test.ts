import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inOnePiece, isCleanText, printable } from '../src/text.ts'

const HOSTILE: Readonly<Record<string, string>> = {
  'a line feed': 'a\nb',
  'a carriage return': 'a\rb',
  'a null character': 'a\0b',
  'an escape': 'a\u001b[31mb',
  'a delete': 'a\u007fb',
  'a C1 control': 'a\u0085b',
  'a line separator': 'a\u2028b',
  'a paragraph separator': 'a\u2029b',
  'a right-to-left override': 'a\u202eb',
  'a bidirectional isolate': 'a\u2066b',
  'a zero-width space': 'a\u200bb',
  'a zero-width joiner': 'a\u200db',
  'a byte-order mark': '\ufeffab',
  'a soft hyphen': 'a\u00adb',
  'a lone high surrogate': 'a\ud83d',
  'a lone low surrogate': '\udc00b',
}

for (const [what, text] of Object.entries(HOSTILE)) {
  test(`text with ${what} is not clean`, () => {
    expect(isCleanText(text, 255)).toBe(false)
  })
  test(`text with ${what} is printed escaped`, () => {
    expect(printable(text, 255)).toMatch(/^(?:\\u\{[0-9a-f]+\}|[ab[]|31m)+$/)
    expect(printable(text, 255)).toContain('\\u{')
  })
}

test('takes ordinary text of any script', () => {
  for (const text of ['alice', 'Zoë', 'Ωμέγα', '山田', 'a b', '😀', '__proto__']) {
    expect(isCleanText(text, 255)).toBe(true)
    expect(printable(text, 255)).toBe(text)
  }
})

test('is clean only where it is a string that is not empty', () => {
  for (const value of ['', undefined, null, 1, {}, ['a'], new String('a')]) expect(isCleanText(value, 255)).toBe(false)
})

test('counts bytes, not characters', () => {
  expect(isCleanText('a'.repeat(255), 255)).toBe(true)
  expect(isCleanText('a'.repeat(256), 255)).toBe(false)
  expect(isCleanText('é'.repeat(127), 255)).toBe(true)
  expect(isCleanText('é'.repeat(128), 255)).toBe(false)
  expect(isCleanText('x'.repeat(10_000), 255)).toBe(false)
})

test('cuts what is longer than the limit, and says so', () => {
  expect(printable('abcdef', 6)).toBe('abcdef')
  expect(printable('abcdefg', 6)).toBe('abcdef…')
  expect(printable('x'.repeat(1_000_000), 100)).toHaveLength(101)
})

test('escapes half of a character that the cut left', () => {
  expect(printable('abc😀', 4)).toBe('abc\\u{d83d}…')
})

test('what is printed is clean and bounded, whatever the input', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.integer({ min: 1, max: 50 }), (text, max) => {
      const shown = printable(text, max)
      expect(isCleanText(shown, 10_000)).toBe(true)
      expect(shown.length).toBeLessThanOrEqual(max * 10 + 1)
    }),
  )
})

test('a text in one piece is the same text', () => {
  const wellFormed = fc.string({ unit: 'grapheme' })
  fc.assert(fc.property(wellFormed, wellFormed, (one, other) => inOnePiece(one + other) === one + other))
})
