import { expect, test } from 'vitest'
import { printable, printableJson, who, word } from '../src/printable.ts'
import { HOSTILE } from './support.ts'

const EVIL = [
  ...['\u001b[31mred', '\u009b2J', '\u0000', '\u0007', '\b', '\r', '\u007f', '\u0085', '\u2028', '\u2029'],
  ...['\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069', '\u061c'],
  ...['\u200b', '\u200c', '\u200d', '\u200e', '\u200f', '\u2060', '\ufeff', '\u00ad', '\u180e', '\ufe0f'],
  ...['\ud800', '\udc00', '\u{e0041}', '\u115f', '\u3164', '\u034f'],
]

test.each(EVIL)('%j is shown as what it is', (evil) => {
  expect(HOSTILE.test(printable(`a${evil}b`))).toBe(false)
  expect(printable(`a${evil}b`)).toMatch(/^a\\u\{[0-9a-f]+\}.*b$/)
})

test.each(EVIL)('%j in JSON becomes the same JSON', (evil) => {
  // As another writer may have left it: not escaped where JSON does not ask for it.
  const raw = JSON.stringify({ name: `a${evil}b` })
    .replace('\\ud800', '\ud800')
    .replace('\\udc00', '\udc00')
  const json = printableJson(raw)
  expect(HOSTILE.test(json)).toBe(false)
  expect(JSON.parse(json)).toEqual({ name: `a${evil}b` })
})

test('white space between the values of JSON stays white space', () => {
  expect(printableJson('{\t"a":\r1}')).toBe('{ "a": 1}')
})

test('what people write is shown as they write it', () => {
  expect(printable('Zoë Müller 山田 محمد 🙂')).toBe('Zoë Müller 山田 محمد 🙂')
})

test.each([
  ['list_vms', 'list_vms'],
  ['CORP\\alice', 'CORP\\alice'],
  ['HTTP/web.example:8080', 'HTTP/web.example:8080'],
  ['alice@CORP.EXAMPLE', 'alice@CORP.EXAMPLE'],
  ['two words', '"two words"'],
  ['', '""'],
  ['a" module=evil', '"a\\" module=evil"'],
  ['a\\" module=evil', '"a\\\\\\" module=evil"'],
  ['x=y', '"x=y"'],
  [12, '12'],
  [{ toString: 'evil' }, '[object]'],
  [[1], '[list]'],
])('%j is the word %s', (value, shown) => {
  expect(word(value)).toBe(shown)
})

test('a long text is cut', () => {
  expect(word('x'.repeat(1000))).toMatch(/^"x{256}…"$/)
})

test.each([
  ['alice', 'https://idp.example/realms/one?x=1', 'alice@https://idp.example/realms/one?x=1'],
  ['alice@https://idp.example', 'https://evil.example', '"alice@https://idp.example"@https://evil.example'],
  ['alice', 'https://evil.example@idp.example', 'alice@"https://evil.example@idp.example"'],
  [undefined, 'https://idp.example', '@https://idp.example'],
  ['alice', undefined, 'alice@'],
  [undefined, undefined, '-'],
])('%j at %j is %s', (subject, issuer, shown) => {
  expect(who(subject, issuer)).toBe(shown)
})
