import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import type { SessionVerifier } from '../../src/session.ts'
import { AUDIENCE, outcomeOf, verifierOf } from './support.ts'

let signer: Signer
let verifier: SessionVerifier

beforeAll(async () => {
  signer = await startSigner()
  verifier = verifierOf(signer)
})
afterAll(() => signer.stop())

const now = (): number => Math.floor(Date.now() / 1000)
const refusal = { code: 'ERR_SESSION_INVALID', message: 'the access token was refused' }

describe('a token is accepted', () => {
  test('that is as RFC 9068 has it', async () => {
    const session = await verifier.verify(await signer.sign())
    expect(session).toMatchObject({ issuer: signer.issuer, subject: 'alice', clientId: 'mcp-client', kind: 'user' })
  })

  test.each([
    ['whose audience is a list that names this server', { aud: ['https://other.example', AUDIENCE] }, {}],
    ['whose type is written in full', {}, { typ: 'application/AT+JWT' }],
    ['whose clock is a little ahead of ours', { iat: now() + 3, nbf: now() + 3 }, {}],
  ])('%s', async (_, claims, header) => {
    await expect(verifier.verify(await signer.sign(claims, header))).resolves.toMatchObject({ subject: 'alice' })
  })
})

describe('a token is refused', () => {
  test.each([
    ['for another audience', { aud: 'https://other.example' }, {}, 'aud'],
    ['for an audience that only begins like ours', { aud: `${AUDIENCE}/admin` }, {}, 'aud'],
    ['for nobody in particular', { aud: undefined }, {}, 'aud'],
    ['for a list that does not name this server', { aud: ['https://other.example'] }, {}, 'aud'],
    ['for a list that holds something else than texts', { aud: [AUDIENCE, 1] }, {}, 'aud'],
    ['without an end', { exp: undefined }, {}, 'exp'],
    ['whose end is no number', { exp: 'tomorrow' }, {}, 'exp'],
    ['whose end is beyond all dates', { exp: 1e300 }, {}, 'exp'],
    ['that is not valid yet', { nbf: now() + 60 }, {}, 'nbf'],
    ['without a time of issue', { iat: undefined }, {}, 'iat'],
    ['that was issued in the future', { iat: now() + 60 }, {}, 'iat'],
    ['of type JWT, which ID tokens have too', {}, { typ: 'JWT' }, 'typ'],
    ['without a type', {}, { typ: undefined }, 'typ'],
    ['whose type is no text', {}, { typ: 7 }, ''],
    ['with a nonce, as in an ID token', { nonce: 'n' }, {}, 'nonce'],
    ['with a hash of an access token, as in an ID token', { at_hash: 'x' }, {}, 'at_hash'],
    ['with a hash of a code, as in an ID token', { c_hash: 'x' }, {}, 'c_hash'],
    ['that calls itself an ID token', { typ: 'ID' }, {}, 'typ'],
    ['that calls itself a refresh token', { typ: 'Refresh' }, {}, 'typ'],
    ['bound to a DPoP key', { cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' } }, {}, 'cnf'],
    ['bound to a certificate', { cnf: { 'x5t#S256': 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2' } }, {}, 'cnf'],
    ['without a subject', { sub: undefined }, {}, 'sub'],
    ['whose subject is no text', { sub: 42 }, {}, 'sub'],
    ['that names no client', { client_id: undefined }, {}, 'client'],
    ['with a key of an unknown id', {}, { kid: 'unknown' }, 'key'],
    ['with an extension that must be understood', {}, { crit: ['x-new'], 'x-new': 1 }, 'x-new'],
    ['whose actor is malformed', { act: 'mallory' }, {}, 'act'],
  ])('%s', async (_, claims, header, reason) => {
    const outcome = await outcomeOf(verifier.verify(await signer.sign(claims, header)))
    expect(outcome).toMatchObject(refusal)
    expect(outcome.reason).toContain(reason)
  })

  test('that has expired, with a code of its own', async () => {
    for (const seconds of [0, 1, 60, 3600]) {
      const outcome = await outcomeOf(verifier.verify(await signer.sign({ iat: now() - 7200, exp: now() - seconds })))
      expect(outcome).toMatchObject({ code: 'ERR_SESSION_EXPIRED', message: 'the access token has expired' })
    }
  })

  test('that is older than a day, or than the operator allows', async () => {
    const old = await signer.sign({ iat: now() - 90_000, exp: now() + 600 })
    expect(await outcomeOf(verifier.verify(old))).toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
    const aged = await signer.sign({ iat: now() - 120, exp: now() + 600 })
    await expect(verifier.verify(aged)).resolves.toMatchObject({ subject: 'alice' })
    const strict = verifierOf(signer, {}, { maxTokenAge: 60_000 })
    expect(await outcomeOf(strict.verify(aged))).toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
  })

  test('of an issuer that is not trusted, whose name is told to nobody', async () => {
    for (const iss of ['https://evil.example', `${signer.issuer}/`, undefined, 7, [signer.issuer]]) {
      const outcome = await outcomeOf(verifier.verify(await signer.sign({ iss })))
      expect(outcome).toMatchObject(refusal)
      expect(JSON.stringify(outcome)).not.toMatch(/evil|127\.0\.0\.1/)
    }
  })
})

describe('a forgery is refused', () => {
  const claims = (): Record<string, unknown> => {
    const times = { iat: now(), exp: now() + 300 }
    return { iss: signer.issuer, sub: 'alice', aud: AUDIENCE, client_id: 'mcp-client', ...times }
  }

  test('that is signed with another key under the same key id', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    const header = { alg: 'ES256', typ: 'at+jwt', kid: signer.kid }
    const forged = await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey)
    expect(await outcomeOf(verifier.verify(forged))).toMatchObject(refusal)
  })

  test('that brings its own key along', async () => {
    const other = await startSigner({ kid: 'mine' })
    const jwks = { jku: other.jwksUri, jwk: other.publicJwk, x5u: other.jwksUri }
    const forged = await other.signExactly(claims(), { typ: 'at+jwt', ...jwks })
    expect(await outcomeOf(verifier.verify(forged))).toMatchObject(refusal)
    expect(other.server.requests).toEqual([])
    await other.stop()
  })

  test('that is not signed', async () => {
    const unsigned = new UnsecuredJWT(claims()).encode()
    const [, payload] = unsigned.split('.')
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')
    expect(await outcomeOf(verifier.verify(`${none}.${payload}.`))).toMatchObject({ code: 'ERR_SESSION_INVALID' })
    const capital = Buffer.from('{"alg":"None","typ":"at+jwt"}').toString('base64url')
    expect(await outcomeOf(verifier.verify(`${capital}.${payload}.AAAA`))).toMatchObject(refusal)
  })

  test('that is signed with the public key as a shared secret', async () => {
    const secret = Buffer.from(JSON.stringify(signer.publicJwk))
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      const forged = new SignJWT(claims()).setProtectedHeader({ alg, typ: 'at+jwt', kid: signer.kid })
      expect(await outcomeOf(verifier.verify(await forged.sign(secret)))).toMatchObject(refusal)
    }
  })

  test('whose claims were changed after it was signed', async () => {
    const [header, , signature] = (await signer.sign()).split('.')
    const payload = Buffer.from(JSON.stringify({ ...claims(), sub: 'root' })).toString('base64url')
    expect(await outcomeOf(verifier.verify(`${header}.${payload}.${signature}`))).toMatchObject(refusal)
  })
})

test.each([
  ['an opaque token', '2YotnFZFEjr1zCsicMWpAA'],
  ['an encrypted token', 'eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA'],
  ['three parts that are no JWT', 'a.b.c'],
])('%s is refused with a message that says so', async (_, token) => {
  expect(await outcomeOf(verifier.verify(token))).toMatchObject({
    code: 'ERR_SESSION_INVALID',
    message: 'the access token is opaque, and this server only takes signed ones',
  })
})

test.each([
  ['nothing', ''],
  ['a header with its scheme', 'Bearer abc'],
  ['a line break', 'abc\r\nx-admin: 1'],
  ['a lone surrogate', 'abc\ud800'],
  ['no text', undefined as unknown as string],
])('%s is refused, and not echoed', async (_, token) => {
  const outcome = await outcomeOf(verifier.verify(token))
  expect(outcome).toMatchObject(refusal)
  expect(outcome.reason).toBe("the token is not 1 to 16384 characters of RFC 6750's alphabet")
})

test('a token beyond 16 kB is refused, valid as it is', async () => {
  const fits = await signer.sign({ padding: 'x'.repeat(11_000) })
  await expect(verifier.verify(fits)).resolves.toMatchObject({ subject: 'alice' })
  const token = await signer.sign({ padding: 'x'.repeat(12_500) })
  expect(token.length).toBeGreaterThan(16_384)
  expect(await outcomeOf(verifier.verify(token))).toMatchObject(refusal)
})
