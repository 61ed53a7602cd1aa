import { createRemoteJWKSet, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type TokenIssuer, tokenIssuer } from '../../src/token-issuer/index.ts'

let tokens: TokenIssuer
beforeEach(async () => {
  tokens = await tokenIssuer()
})
afterEach(async () => {
  await tokens[Symbol.asyncDispose]()
})

/** As somebody who never asked for the keys. */
async function verify(token: string): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(tokens.jwksUri))
  return (await jwtVerify(token, keys, { issuer: tokens.issuer, audience: tokens.audience, typ: 'at+jwt' })).payload
}

describe.each(['RS256', 'ES256'] as const)('an issuer with %s', (algorithm) => {
  test('signs access tokens that its key set verifies', async () => {
    await using issuer = await tokenIssuer({ algorithm, audience: 'https://other.example' })
    const token = await issuer.sign({ sub: 'bob', groups: ['a'] })
    const keys = createRemoteJWKSet(new URL(issuer.jwksUri))
    const { payload, protectedHeader } = await jwtVerify(token, keys, { audience: 'https://other.example' })
    expect(payload).toMatchObject({ iss: issuer.issuer, sub: 'bob', groups: ['a'] })
    expect(protectedHeader).toMatchObject({ alg: algorithm, typ: 'at+jwt' })
  })
})

test('a claim that is undefined is left out, others replace the defaults', async () => {
  expect(await verify(await tokens.sign())).toMatchObject({ sub: 'alice', client_id: 'lab' })
  expect(await verify(await tokens.sign({ sub: undefined }))).not.toHaveProperty('sub')
  await expect(verify(await tokens.sign({ aud: 'other' }))).rejects.toMatchObject({ claim: 'aud' })
  await expect(verify(await tokens.sign({ exp: 1 }))).rejects.toBeInstanceOf(errors.JWTExpired)
})

test('two tokens are never the same', async () => {
  expect(await tokens.sign()).not.toBe(await tokens.sign())
})

test('a forged token names the key that it is not signed with', async () => {
  const forged = await tokens.forge()
  expect(decodeProtectedHeader(forged)['kid']).toBe(decodeProtectedHeader(await tokens.sign())['kid'])
  await expect(verify(forged)).rejects.toBeInstanceOf(errors.JWSSignatureVerificationFailed)
})

test('discovery names the key set', async () => {
  const response = await fetch(`${tokens.issuer}/.well-known/openid-configuration`)
  expect(await response.json()).toMatchObject({ issuer: tokens.issuer, jwks_uri: tokens.jwksUri })
  expect((await fetch(`${tokens.issuer}/other`)).status).toBe(404)
})

test('keys change, and old tokens are good until the old key is retired', async () => {
  const old = await tokens.sign()
  await tokens.rotate()
  expect(await verify(old)).toMatchObject({ sub: 'alice' })
  expect(await verify(await tokens.sign())).toMatchObject({ sub: 'alice' })
  await tokens.rotate({ retire: true })
  await expect(verify(old)).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey)
  expect(await verify(await tokens.sign())).toMatchObject({ sub: 'alice' })
})

test('it refuses connections while it is down, and is at the same port afterwards', async () => {
  await tokens.down()
  await expect(fetch(tokens.jwksUri)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } })
  await tokens.up()
  expect((await fetch(tokens.jwksUri)).status).toBe(200)
})

test('the key set fails or hangs as it is told, and each question is counted', async () => {
  tokens.keySet('fails')
  expect((await fetch(tokens.jwksUri)).status).toBe(500)
  tokens.keySet('hangs')
  const held = fetch(tokens.jwksUri)
  await expect.poll(() => tokens.keyRequests).toBe(2)
  const answered = held.then(() => 'answered')
  expect(await Promise.race([answered, fetch(`${tokens.issuer}/other`).then(() => 'held')])).toBe('held')
  tokens.keySet('answers')
  expect((await held).status).toBe(200)
  expect(tokens.keyRequests).toBe(2)
  tokens.keySet('hangs')
  const cut = expect(fetch(tokens.jwksUri)).rejects.toThrow()
  await expect.poll(() => tokens.keyRequests).toBe(3)
  await tokens.down()
  await cut
})
