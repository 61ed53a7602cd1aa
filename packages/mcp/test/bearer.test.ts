import { describe, expect, test } from 'vitest'
import { readBearer } from '../src/bearer.ts'

const NONE = { token: undefined, problem: 'none' }
const MALFORMED = { token: undefined, problem: 'malformed' }

describe('readBearer', () => {
  test.each(['Bearer abc', 'bearer abc', 'BEARER  abc', 'Bearer abc '])('reads %j', (header) => {
    expect(readBearer(header, '/mcp')).toEqual({ token: 'abc' })
    expect(readBearer([header], '/mcp')).toEqual({ token: 'abc' })
  })

  test('reads every character that a token may have', () => {
    const token = 'AZaz09-._~+/=='
    expect(readBearer(`Bearer ${token}`, '/mcp')).toEqual({ token })
  })

  test('no header is no token', () => {
    expect(readBearer(undefined, '/mcp')).toEqual(NONE)
    expect(readBearer([], '/mcp')).toEqual(NONE)
  })

  test.each(['Basic YWxpY2U6cHc=', 'DPoP abc', 'Negotiate abc', '', 'Digest username="a", realm="b"', 'Bearerabc'])(
    'another scheme is no token: %j',
    (header) => {
      expect(readBearer(header, '/mcp')).toEqual(NONE)
    },
  )

  test.each([
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a,b',
    'Bearer a=b',
    'Bearer "a"',
    'Bearer a\u0000',
    'Bearer é',
  ])('is malformed: %j', (header) => {
    expect(readBearer(header, '/mcp')).toEqual(MALFORMED)
  })

  test('several headers are malformed, as a list and joined as the Fetch standard joins them', () => {
    expect(readBearer(['Bearer a', 'Bearer b'], '/mcp')).toEqual(MALFORMED)
    expect(readBearer(['Basic a', 'Bearer b'], '/mcp')).toEqual(MALFORMED)
    expect(readBearer('Bearer a, Bearer b', '/mcp')).toEqual(MALFORMED)
    expect(readBearer('Basic a, Bearer b', '/mcp')).toEqual(MALFORMED)
  })

  test('a token in the query is no token, and malformed next to one in the header', () => {
    expect(readBearer(undefined, '/mcp?access_token=abc')).toEqual(NONE)
    expect(readBearer('Bearer abc', '/mcp?a=1&access_token=abc')).toEqual(MALFORMED)
    expect(readBearer('Bearer abc', '/mcp?not_access_token=abc')).toEqual({ token: 'abc' })
  })

  test('a hostile header costs no more than its length', () => {
    const started = performance.now()
    expect(readBearer(`Bearer ${' '.repeat(50_000)}${'a'.repeat(50_000)}!`, '/mcp')).toEqual(MALFORMED)
    expect(performance.now() - started).toBeLessThan(500)
  })
})
