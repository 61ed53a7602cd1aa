import { describe, expect, test } from 'vitest'
import { bearerChallenge, challenges, quoted } from '../src/challenge.ts'

const METADATA = 'https://mcp.example/.well-known/oauth-protected-resource/mcp'

describe('challenges', () => {
  const { missing, invalidToken, malformed, accessDenied, insufficientScope, unavailable, tooMany, failed } =
    challenges(METADATA, ['mcp', 'read'])

  test('nobody has shown a token: 401 without an error code', () => {
    expect(missing.status).toBe(401)
    expect(missing.headers['www-authenticate']).toBe(`Bearer scope="mcp read", resource_metadata="${METADATA}"`)
  })

  test('the token is not valid: 401 invalid_token', () => {
    expect(invalidToken.status).toBe(401)
    expect(invalidToken.headers['www-authenticate']).toBe(
      `Bearer error="invalid_token", error_description="The access token is not valid", scope="mcp read", resource_metadata="${METADATA}"`,
    )
  })

  test('the request is malformed: 400 invalid_request', () => {
    expect(malformed.status).toBe(400)
    expect(malformed.headers['www-authenticate']).toContain('error="invalid_request"')
  })

  test('a scope is missing: 403 insufficient_scope with the scopes that are asked for', () => {
    const { status, headers, body } = insufficientScope(['mcp', 'read', 'write'])
    expect(status).toBe(403)
    expect(headers['www-authenticate']).toBe(
      `Bearer error="insufficient_scope", error_description="The access token lacks a scope", scope="mcp read write", resource_metadata="${METADATA}"`,
    )
    expect(JSON.parse(body ?? '')).toEqual({
      error: 'insufficient_scope',
      error_description: 'The access token lacks a scope',
    })
  })

  test('access is denied: 403 without a challenge, since a login would not help', () => {
    expect(accessDenied.status).toBe(403)
    expect(accessDenied.headers).not.toHaveProperty('www-authenticate')
    expect(JSON.parse(accessDenied.body ?? '')).toMatchObject({ error: 'access_denied' })
  })

  test('outage, too much, failure: no challenge, and when to come back', () => {
    expect(unavailable(7)).toMatchObject({ status: 503, headers: { 'retry-after': '7' } })
    expect(tooMany(3)).toMatchObject({ status: 429, headers: { 'retry-after': '3' } })
    for (const answer of [unavailable(7), tooMany(3), failed])
      expect(answer.headers).not.toHaveProperty('www-authenticate')
    expect(failed.status).toBe(500)
  })

  test('no scope parameter where no scope is needed', () => {
    expect(challenges(METADATA, []).missing.headers['www-authenticate']).toBe(`Bearer resource_metadata="${METADATA}"`)
  })
})

test('parameters are escaped, and what could end a header is replaced', () => {
  expect(quoted('a"b\\c')).toBe('"a\\"b\\\\c"')
  expect(quoted('a\r\nSet-Cookie: x')).toBe('"a??Set-Cookie: x"')
  expect(quoted('\u202eé')).toBe('"??"')
  expect(bearerChallenge({ scope: 'a", error="x' })).toBe('Bearer scope="a\\", error=\\"x"')
})
