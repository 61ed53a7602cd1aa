import { expect, test } from 'vitest'
import { plain, serverTexts } from '../src/server-texts.ts'

const none = { token: undefined, body: undefined }
const JWT = `eyJ${'a'.repeat(30)}.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ`

test('The texts are those of the server', () => {
  expect(serverTexts(['permission denied', 'Vault is sealed'], none)).toBe('permission denied; Vault is sealed')
  expect(serverTexts([], none)).toBe('')
})

test('What looks like a token is cut out, whoever it belongs to', () => {
  const service = `hvs.CAESI${'x'.repeat(80)}`
  const old = `s.${'Ab3'.repeat(8)}`
  for (const token of [
    JWT,
    service,
    old,
    `${old}.n5p1d`,
    `hvb.${'AAA-_'.repeat(20)}`,
    'eyJhbGciOi',
    `b.${'Q'.repeat(90)}`,
  ])
    expect(serverTexts([`the token ${token} is bad`], none)).toBe('the token [cut out] is bad')
})

test('What the request held is cut out, but for the name of its role', () => {
  const body = { role: 'production', jwt: 'opaque-access-token', nonce: 'short', number: 12345678 }
  const texts = ['role production: opaque-access-token by own-token-of-it', 'opaque-access-token short']
  expect(serverTexts(texts, { token: 'own-token-of-it', body })).toBe(
    'role production: [cut out] by [cut out]; [cut out] short',
  )
})

test('The texts are one line', () => {
  expect(serverTexts(['1 error occurred:\n\t* permission denied\n\n'], none)).toBe(
    '1 error occurred: * permission denied',
  )
})

test('A token at the edge of what is shown is cut out before the rest is', () => {
  const text = serverTexts([`${'x'.repeat(290)} ${JWT}`], none)
  expect(text).toBe(`${'x'.repeat(290)} [cut out]`)
})

test('What is shown is printable ASCII, 300 characters at most', () => {
  expect(plain('a\u202eb\n\u{1f600}é')).toBe('a\\u{202e}b\\u{a}\\u{d83d}\\u{de00}\\u{e9}')
  expect(plain('x'.repeat(400))).toBe(`${'x'.repeat(300)}...`)
  expect(serverTexts(['y'.repeat(500_000)], none)).toHaveLength(303)
})
