import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import { oidcVerifier } from '../../src/oidc/index.ts'
import { AUDIENCE, outcomeOf, verifierOf } from './support.ts'

let signer: Signer
beforeEach(async () => {
  signer = await startSigner()
})
afterEach(async () => {
  vi.useRealTimers()
  await signer.stop()
})

const REFUSED = { code: 'ERR_SESSION_INVALID' }

test('a flood of unknown key ids fetches the key set once, and discovers once', async () => {
  const verifier = verifierOf(signer)
  const flood = await Promise.all(
    Array.from({ length: 200 }, (_, index) => signer.sign({}, { kid: `unknown-${index}` })),
  )
  const outcomes = await Promise.all(flood.map((token) => outcomeOf(verifier.verify(token))))
  expect(new Set(outcomes.map(({ code }) => code))).toEqual(new Set(['ERR_SESSION_INVALID']))
  for (const token of flood.slice(0, 20)) await outcomeOf(verifier.verify(token))
  expect(signer.server.count('/jwks')).toBe(1)
  expect(signer.server.count('/.well-known/openid-configuration')).toBe(1)
})

test('a token that can’t be accepted anyway fetches nothing', async () => {
  const verifier = verifierOf(signer)
  await outcomeOf(verifier.verify(await signer.sign({ iss: 'https://other.example' })))
  await outcomeOf(verifier.verify('opaque'))
  expect(signer.server.requests).toEqual([])
})

test('a rotated key is picked up, and the old one is no longer accepted', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const verifier = verifierOf(signer)
  await verifier.verify(await signer.sign())
  const old = await signer.sign({ jti: 'of the old key' })
  await signer.rotate('second')
  expect(await outcomeOf(verifier.verify(await signer.sign()))).toMatchObject(REFUSED)
  vi.setSystemTime(Date.now() + 31_000)
  await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
  expect(await outcomeOf(verifier.verify(old))).toMatchObject(REFUSED)
  expect(signer.server.count('/jwks')).toBe(2)
})

test('two issuers with the same key id each have their own keys', async () => {
  const other = await startSigner()
  expect(other.kid).toBe(signer.kid)
  const verifier = oidcVerifier({ issuers: [{ issuer: signer.issuer }, { issuer: other.issuer }], audience: AUDIENCE })
  expect(verifier.issuers).toEqual([signer.issuer, other.issuer])
  for (const one of [signer, other])
    await expect(verifier.verify(await one.sign())).resolves.toMatchObject({ issuer: one.issuer, subject: 'alice' })
  expect(await outcomeOf(verifier.verify(await other.sign({ iss: signer.issuer })))).toMatchObject(REFUSED)
  expect(await outcomeOf(verifier.verify(await signer.sign({ iss: other.issuer })))).toMatchObject(REFUSED)
  await other.stop()
})

test('an outage of one issuer is none of another', async () => {
  const other = await startSigner()
  const issuers = [{ issuer: signer.issuer }, { issuer: other.issuer }]
  const verifier = oidcVerifier({ issuers, audience: AUDIENCE, timeout: 1_500 })
  await other.turn('hang')
  const hanging = outcomeOf(verifier.verify(await other.sign()))
  await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ issuer: signer.issuer })
  expect(await hanging).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  await other.stop()
})

test('a key set that moves is found again once the old place is gone', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const verifier = verifierOf(signer)
  await verifier.verify(await signer.sign())
  signer.json('/keys', { keys: [signer.publicJwk] })
  signer.json('/.well-known/openid-configuration', { issuer: signer.issuer, jwks_uri: `${signer.issuer}/keys` })
  signer.route('/jwks', (_, response) => response.writeHead(404).end())
  vi.setSystemTime(Date.now() + 11 * 60_000)
  await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
})

test('a key set that moves is found again by a new key, although the old place still answers', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const verifier = verifierOf(signer)
  await verifier.verify(await signer.sign())
  const old = signer.publicJwk
  await signer.rotate('second')
  signer.json('/keys', { keys: [signer.publicJwk] })
  signer.json('/jwks', { keys: [old] })
  signer.json('/.well-known/openid-configuration', { issuer: signer.issuer, jwks_uri: `${signer.issuer}/keys` })
  expect(await outcomeOf(verifier.verify(await signer.sign()))).toMatchObject(REFUSED)
  vi.setSystemTime(Date.now() + 30_000)
  await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
})

test('metadata and keys last ten minutes, and no longer where the clock is set back', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const verifier = verifierOf(signer)
  const asked = (): readonly number[] =>
    ['/.well-known/openid-configuration', '/jwks'].map((path) => signer.server.count(path))
  await verifier.verify(await signer.sign())
  vi.setSystemTime(Date.now() + 599_999)
  await verifier.verify(await signer.sign())
  expect(asked()).toEqual([1, 1])
  vi.setSystemTime(Date.now() + 1)
  await verifier.verify(await signer.sign())
  expect(asked()).toEqual([2, 2])
  vi.setSystemTime(Date.now() - 365 * 86_400_000)
  const withdrawn = await signer.sign()
  await signer.rotate('second')
  expect(await outcomeOf(verifier.verify(withdrawn))).toMatchObject(REFUSED)
  expect(asked()).toEqual([3, 3])
})

test.each(['RS256', 'PS384', 'ES512', 'EdDSA', 'Ed25519'])('%s is accepted', async (alg) => {
  const other = await startSigner({ alg })
  await expect(verifierOf(other).verify(await other.sign())).resolves.toMatchObject({ subject: 'alice' })
  await other.stop()
})

test('a token without a key id is accepted where one key fits, and refused where several do', async () => {
  await expect(verifierOf(signer).verify(await signer.sign({}, { kid: undefined }))).resolves.toBeDefined()
  const other = await startSigner()
  signer.json('/jwks', { keys: [signer.publicJwk, { ...other.publicJwk, kid: 'other' }] })
  expect(await outcomeOf(verifierOf(signer).verify(await signer.sign({}, { kid: undefined })))).toMatchObject(REFUSED)
  await other.stop()
})
