import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Weather } from '../../../../test/fixtures/loopback-server.ts'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import type { SessionVerifier } from '../../src/session.ts'
import { outcomeOf, verifierOf } from './support.ts'

let signer: Signer
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  signer = await startSigner()
})
afterEach(async () => {
  vi.useRealTimers()
  await signer.stop()
})

const OUTAGE = { code: 'ERR_DELEGATION_UNAVAILABLE', message: 'the access token could not be verified at the moment' }
const DISCOVERY = '/.well-known/openid-configuration'
/** An outage is remembered for this long. */
const PAUSE = 5_000

async function recover(): Promise<void> {
  await signer.turn('fair')
  vi.setSystemTime(Date.now() + PAUSE)
}
const quick = { timeout: 1_000 }

describe.each<Weather>(['unavailable', 'garbage', 'hang', 'refuse'])('where the identity provider is %s', (weather) => {
  test('discovery fails as an outage, and works again when it is back', async () => {
    const verifier = verifierOf(signer, {}, quick)
    await signer.turn(weather)
    expect(await outcomeOf(verifier.verify(await signer.sign()))).toMatchObject(OUTAGE)
    await recover()
    await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
  })

  test('the key set fails as an outage, and works again when it is back', async () => {
    const verifier = verifierOf(signer, { jwksUri: signer.jwksUri }, quick)
    await signer.turn(weather)
    expect(await outcomeOf(verifier.verify(await signer.sign()))).toMatchObject(OUTAGE)
    await recover()
    await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
    expect(signer.server.count(DISCOVERY)).toBe(0)
  })

  test('tokens whose key is known are verified, and only an unknown key is an outage', async () => {
    const verifier = verifierOf(signer, {}, quick)
    await verifier.verify(await signer.sign())
    await signer.turn(weather)
    vi.setSystemTime(Date.now() + 60_000)
    await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
    expect(await outcomeOf(verifier.verify(await signer.sign({}, { kid: 'new' })))).toMatchObject(OUTAGE)
  })
})

test('what only is down for the discovery document or the key set is an outage as well', async () => {
  for (const path of [DISCOVERY, '/jwks']) {
    const verifier = verifierOf(signer, {}, quick)
    await signer.turn('unavailable', (asked) => asked === path)
    expect(await outcomeOf(verifier.verify(await signer.sign()))).toMatchObject(OUTAGE)
    await recover()
    await expect(verifier.verify(await signer.sign())).resolves.toMatchObject({ subject: 'alice' })
  }
})

describe('while the identity provider fails, it is not asked about each token:', () => {
  const tokens = (count: number): Promise<readonly string[]> =>
    Promise.all(Array.from({ length: count }, (_, jti) => signer.sign({ jti })))
  const ask = async (verifier: SessionVerifier, all: readonly string[]): Promise<ReadonlySet<unknown>> => {
    const codes = new Set()
    for (const token of all) codes.add((await outcomeOf(verifier.verify(token))).code)
    return codes
  }

  test.each([
    ['everything', () => true, { [DISCOVERY]: 1, '/jwks': 0 }],
    ['the key set', (path: string) => path === '/jwks', { [DISCOVERY]: 1, '/jwks': 1 }],
  ])('%s', async (_, affected, counts) => {
    const verifier = verifierOf(signer, {}, quick)
    await signer.turn('unavailable', affected)
    expect(await ask(verifier, await tokens(20))).toEqual(new Set([OUTAGE.code]))
    vi.setSystemTime(Date.now() + PAUSE - 1)
    expect(await ask(verifier, await tokens(20))).toEqual(new Set([OUTAGE.code]))
    const asked = (): object => ({ [DISCOVERY]: signer.server.count(DISCOVERY), '/jwks': signer.server.count('/jwks') })
    expect(asked()).toEqual(counts)
    vi.setSystemTime(Date.now() + 1)
    await signer.turn('fair')
    expect(await ask(verifier, await tokens(20))).toEqual(new Set([undefined]))
    expect(signer.server.count('/jwks')).toBe(counts['/jwks'] + 1)
  })

  test('a key set that stays down makes nobody look for another each time', async () => {
    const verifier = verifierOf(signer, {}, quick)
    await signer.turn('unavailable', (path) => path === '/jwks')
    for (let round = 0; round < 6; round++) {
      expect(await ask(verifier, await tokens(3))).toEqual(new Set([OUTAGE.code]))
      vi.setSystemTime(Date.now() + PAUSE)
    }
    expect(signer.server.count('/jwks')).toBe(6)
    expect(signer.server.count(DISCOVERY)).toBe(1)
  })

  test('unknown keys beside known ones', async () => {
    const verifier = verifierOf(signer, {}, quick)
    await verifier.verify(await signer.sign())
    vi.setSystemTime(Date.now() + 31_000)
    await signer.turn('unavailable', (path) => path === '/jwks')
    const forged = await Promise.all(Array.from({ length: 20 }, (_, index) => signer.sign({}, { kid: `k${index}` })))
    expect(await ask(verifier, forged)).toEqual(new Set([OUTAGE.code]))
    expect(signer.server.count('/jwks')).toBe(2)
    await expect(verifier.verify(await signer.sign({ jti: 'known' }))).resolves.toMatchObject({ subject: 'alice' })
  })

  test('whoever is refused learns when to come back', async () => {
    const verifier = verifierOf(signer, {}, quick)
    await signer.turn('unavailable')
    const retryAfter = new Date(Date.now() + PAUSE)
    await expect(verifier.verify(await signer.sign())).rejects.toMatchObject({ retryAfter })
    vi.setSystemTime(Date.now() + 2_000)
    await expect(verifier.verify(await signer.sign({ jti: 'x' }))).rejects.toMatchObject({ retryAfter })
  })
})

describe('a document that cannot be right is an outage:', () => {
  test.each<[string, string, (issuer: string) => Readonly<Record<string, unknown>>]>([
    ['another issuer', 'of another issuer', () => ({ issuer: 'https://other.example' })],
    ['an issuer with a slash more', 'of another issuer', (issuer) => ({ issuer: `${issuer}/` })],
    ['no issuer', 'of another issuer', () => ({ issuer: undefined })],
    ['no place of keys', 'no "jwks_uri"', () => ({ jwks_uri: undefined })],
    ['keys over plain HTTP from elsewhere', 'no "jwks_uri"', () => ({ jwks_uri: 'http://keys.example/jwks' })],
    ['keys from a file', 'no "jwks_uri"', () => ({ jwks_uri: 'file:///etc/passwd' })],
  ])('%s', async (_, reason, change) => {
    signer.json(DISCOVERY, { issuer: signer.issuer, jwks_uri: signer.jwksUri, ...change(signer.issuer) })
    const outcome = await outcomeOf(verifierOf(signer).verify(await signer.sign()))
    expect(outcome).toMatchObject(OUTAGE)
    expect(outcome.reason).toContain(reason)
  })

  test.each([
    ['a list', []],
    ['a text', 'x'],
    ['no keys', { keys: 'x' }],
    ['keys without sense', { keys: [{ kty: 'EC', crv: 'P-256', x: '!', y: '!', kid: 'signer', alg: 'ES256' }] }],
    ['more than 512 kB', { issuer: 'x'.repeat(600_000) }],
  ])('%s', async (_, body) => {
    for (const path of [DISCOVERY, '/jwks']) {
      const other = await startSigner()
      other.json(path, body)
      expect(await outcomeOf(verifierOf(other).verify(await other.sign()))).toMatchObject(OUTAGE)
      await other.stop()
    }
  })

  test('a redirect, which is not followed', async () => {
    const elsewhere = await startSigner()
    for (const path of [DISCOVERY, '/jwks']) {
      const other = await startSigner()
      other.route(path, (_, response) => response.writeHead(302, { location: `${elsewhere.issuer}${path}` }).end())
      expect(await outcomeOf(verifierOf(other).verify(await other.sign()))).toMatchObject(OUTAGE)
      await other.stop()
    }
    expect(elsewhere.server.requests).toEqual([])
    await elsewhere.stop()
  })
})

test('metadata is also found where RFC 8414 puts it, with the path behind', async () => {
  const tenant = await startSigner({ path: '/tenant' })
  await expect(verifierOf(tenant).verify(await tenant.sign())).resolves.toMatchObject({ issuer: tenant.issuer })
  expect(tenant.server.requests).toEqual([`GET /tenant${DISCOVERY}`, 'GET /jwks'])

  const missing = (_: unknown, response: { writeHead(status: number): { end(): void } }): void =>
    response.writeHead(404).end()
  tenant.route(`/tenant${DISCOVERY}`, missing)
  const where = '/.well-known/oauth-authorization-server/tenant'
  tenant.json(where, { issuer: tenant.issuer, jwks_uri: tenant.jwksUri })
  await expect(verifierOf(tenant).verify(await tenant.sign())).resolves.toMatchObject({ issuer: tenant.issuer })
  expect(tenant.server.requests.slice(2)).toEqual([`GET /tenant${DISCOVERY}`, `GET ${where}`, 'GET /jwks'])
  tenant.route(where, missing)
  expect(await outcomeOf(verifierOf(tenant).verify(await tenant.sign()))).toMatchObject(OUTAGE)
  await tenant.stop()
})

test('the cause of an outage says what happened on the network', async () => {
  const verifier = verifierOf(signer, {}, quick)
  const token = await signer.sign()
  await signer.turn('refuse')
  expect((await outcomeOf(verifier.verify(token))).reason).toContain('ECONNREFUSED')
  await signer.turn('fair')
})

test('an outage is a warning in the log, a refusal a remark, and neither shows the token', async () => {
  const lines: string[] = []
  const write =
    (level: string) =>
    (fields: object, text: string): void =>
      void lines.push(`${level}: ${text} ${JSON.stringify(fields)}`)
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const verifier = verifierOf(signer, {}, { ...quick, log })
  const [token, foreign] = [await signer.sign(), await signer.sign({ aud: 'https://other.example' })]
  await signer.turn('unavailable')
  await outcomeOf(verifier.verify(token))
  await recover()
  await outcomeOf(verifier.verify(foreign))
  expect(lines).toEqual([
    expect.stringMatching(/^warn: an access token could not be verified .*ERR_DELEGATION_UNAVAILABLE.*503/),
    expect.stringMatching(/^debug: an access token was refused .*ERR_SESSION_INVALID.*aud/),
  ])
  for (const part of `${token}.${foreign}`.split('.')) expect(lines.join()).not.toContain(part)
})
