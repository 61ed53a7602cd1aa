import { expect, it } from 'vitest'
import { secret } from '../../src/secret.ts'
import { leaks, printed, textsIn } from '../../src/testing/conformance/leaks.ts'

const needle = 'pass"word-with-ümlaut'

it.each([
  ['as it is', needle],
  ['in JSON', JSON.stringify({ needle })],
  ['in a URL', `https://host/?q=${encodeURIComponent(needle)}`],
  ['in hexadecimal', Buffer.from(needle).toString('hex')],
  ['in base64', `Basic ${Buffer.from(needle).toString('base64')}`],
  ['in base64url', Buffer.from(needle).toString('base64url')],
])('finds a secret %s', (_where, text) => {
  expect(leaks(`before ${text} after`, [needle])).toBe(true)
  expect(leaks('before and after', [needle])).toBe(false)
})

it('prints causes, hidden members and long texts in full', () => {
  const error = new Error('outer', {
    cause: new Error('inner', { cause: { headers: { long: 'x'.repeat(20_000) + needle } } }),
  })
  expect(leaks(printed(error), [needle])).toBe(true)
  expect(leaks(printed(Object.defineProperty({}, 'hidden', { value: needle })), [needle])).toBe(true)
  expect(leaks(printed({ wrapped: secret(needle) }), [needle])).toBe(false)
})

it('reveals secrets and reads bytes, maps, sets and circles', () => {
  const circle: Record<string, unknown> = {
    bytes: Buffer.from('in bytes'),
    map: new Map([['key', new Set(['in a set'])]]),
  }
  circle['self'] = circle
  circle['secret'] = secret({ deep: 'in a secret' })
  const texts = textsIn(circle)
  for (const text of ['in bytes', 'in a set', 'in a secret']) expect(texts).toContain(text)
})
