import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import { DelegationError } from '../../src/index.ts'
import { type GroupResolver, type OidcVerifierOptions, oidcVerifier } from '../../src/oidc/index.ts'
import type { Session, SessionVerifier } from '../../src/session.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { deferred } from '../properties/deferred.ts'
import { AUDIENCE, outcomeOf, verifierOf } from './support.ts'
import { ENTRA_OVERAGE, VENDOR_TOKENS, type VendorToken } from './vendor-tokens.ts'

let signer: Signer
beforeAll(async () => {
  signer = await startSigner()
})
afterAll(() => signer.stop())

type Resolve = GroupResolver['resolve']
const OUTAGE = { code: 'ERR_DELEGATION_UNAVAILABLE', message: 'the access token could not be verified at the moment' }
const { user, machine } = VENDOR_TOKENS.entra
const [overage = user] = Object.values(ENTRA_OVERAGE)

const sign = ({ header, claims }: VendorToken, more: object = {}): Promise<string> =>
  signer.sign({ client_id: undefined, ...claims, ...more }, header)

const verifierWith = (
  resolve: Resolve,
  { when, ...options }: Partial<OidcVerifierOptions> & Pick<GroupResolver, 'when'> = {},
): SessionVerifier => verifierOf(signer, { profile: 'entra', groupResolver: { resolve, when } }, options)

const verify = async (resolve: Resolve, options: Parameters<typeof verifierWith>[1] = {}): Promise<Session> =>
  verifierWith(resolve, options).verify(await sign(overage))

describe('a resolver of groups', () => {
  test('is asked about the verified session, and what it answers are all the groups', async () => {
    const session = await verify(async (asked, { signal }) => {
      expect(asked).toMatchObject({ subject: overage.claims['sub'], kind: 'user', groupsComplete: false })
      expect(asked.claims['oid']).toBe('690222be-ff1a-4d56-abd1-7e4f7d38e474')
      expect(signal.aborted).toBe(false)
      return new Set(['staff', 'finance'])
    })
    expect([...session.groups]).toEqual(['staff', 'finance'])
    expect(session).toMatchObject({ subject: overage.claims['sub'], groupsComplete: true })
  })

  test('is not asked where the token holds all groups, nor about a token that is refused', async () => {
    let asked = 0
    const verifier = verifierWith(async () => [String(++asked)])
    expect([...(await verifier.verify(await sign(user))).groups]).toEqual(user.claims['groups'])
    expect(await outcomeOf(verifier.verify(await sign(overage, { aud: 'https://other.example' })))).toMatchObject({
      code: 'ERR_SESSION_INVALID',
    })
    expect(asked).toBe(0)
  })

  test.each([
    ['people', user],
    ['machines', machine],
  ])('is asked about everybody, %s too, where it is to turn ids into names', async (_, token) => {
    const names: Readonly<Record<string, string>> = { '8f9d1e2c-0b1a-4c3d-9e8f-7a6b5c4d3e2f': 'staff' }
    const resolve: Resolve = async ({ groups }) => [...groups].map((id) => names[id] ?? id)
    const session = await verifierWith(resolve, { when: 'always' }).verify(await sign(token))
    expect([...session.groups]).toEqual(token === user ? ['staff'] : [])
    expect(session).toMatchObject({ kind: token === user ? 'user' : 'machine', groupsComplete: true })
  })

  test('is asked about a machine whose groups are incomplete', async () => {
    const session = await verifierWith(async () => ['robots']).verify(await sign(machine, { hasgroups: true }))
    expect([session.kind, session.groupsComplete, ...session.groups]).toEqual(['machine', true, 'robots'])
  })

  test('is asked where the groups of the token are malformed', async () => {
    const session = await verifierWith(async () => ['staff']).verify(await sign(user, { groups: 7 }))
    expect([session.groupsComplete, ...session.groups]).toEqual([true, 'staff'])
  })

  test('may say that there are none', async () => {
    const session = await verify(async () => [])
    expect([session.groupsComplete, session.groups.size]).toEqual([true, 0])
  })

  test('is asked before "verifyMore", which sees its groups, and both answers stay', async () => {
    const verifyMore = async ({ groups, groupsComplete }: Session) => ({ saw: [...groups], groupsComplete })
    const session = await verify(async () => ['staff'], { verifyMore })
    expect(session.more).toEqual({ saw: ['staff'], groupsComplete: true })
    expect([...session.groups]).toEqual(['staff'])
  })

  test('is each issuer’s own', async () => {
    const other = await startSigner()
    const ours = { issuer: signer.issuer, profile: 'entra', groupResolver: { resolve: async () => ['ours'] } } as const
    const issuers = [ours, { issuer: other.issuer, profile: 'entra' } as const]
    const verifier = oidcVerifier({ issuers, audience: AUDIENCE })
    const { header, claims } = overage
    const foreign = await verifier.verify(await other.sign({ client_id: undefined, ...claims }, header))
    expect([foreign.groupsComplete, foreign.groups.size]).toEqual([false, 0])
    expect([...(await verifier.verify(await sign(overage))).groups]).toEqual(['ours'])
    await other.stop()
  })

  test('is asked about an opaque token that is incomplete', async () => {
    const other = await startSigner()
    const now = Math.floor(Date.now() / 1000)
    const introspection_endpoint = `${other.issuer}/introspect`
    other.json('/.well-known/openid-configuration', {
      issuer: other.issuer,
      jwks_uri: other.jwksUri,
      introspection_endpoint,
    })
    const answer = { active: true, token_type: 'Bearer', sub: 'alice', client_id: 'c', aud: AUDIENCE, groups: [7] }
    other.json('/introspect', { ...answer, iss: other.issuer, iat: now, exp: now + 300 })
    const introspection = { clientId: 'us', clientSecret: async () => 'secret' }
    const groupResolver = { resolve: async ({ subject }: Session) => [`${subject}s`] }
    const session = await verifierOf(other, { introspection, groupResolver }).verify('2YotnFZFEjr1zCsicMWpAA')
    expect([session.groupsComplete, ...session.groups]).toEqual([true, 'alices'])
    await other.stop()
  })
})

describe('lets nobody in', () => {
  test('with an error of its own, which is passed on', async () => {
    const refusal = new DelegationError('ERR_SESSION_INVALID', 'the directory does not know this user')
    await expect(verify(() => Promise.reject(refusal))).rejects.toBe(refusal)
  })

  test('with any other error, thrown or rejected', async () => {
    const failure = (): never => {
      throw new Error('ECONNREFUSED')
    }
    for (const resolve of [failure, async () => failure()]) {
      const outcome = await outcomeOf(verify(resolve))
      expect(outcome).toMatchObject(OUTAGE)
      expect(outcome.reason).toContain('"groupResolver" failed: ECONNREFUSED')
    }
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'staff finance'],
    ['an object', { value: ['staff'] }],
    ['a list with a number', ['staff', 7]],
    ['a list with an empty name', ['staff', '']],
    ['a list of objects', [{ displayName: 'staff' }]],
    ['a map', new Map([['staff', true]])],
    [
      'what fails halfway',
      (function* () {
        yield 'staff'
        throw new Error('the second page is missing')
      })(),
    ],
    [
      'what can only be awaited',
      (async function* () {
        yield 'staff'
      })(),
    ],
  ])('when it answers with %s', async (_, answer) => {
    expect(await outcomeOf(verify(async () => answer as never))).toMatchObject(OUTAGE)
  })

  test('when it takes too long, whether it heeds its signal or not', async () => {
    expect(await outcomeOf(verify(() => new Promise(() => {}), { timeout: 250 }))).toMatchObject(OUTAGE)
  })

  test('when the token expires in the meantime', async () => {
    const clock = fakeClock(new Date('2030-01-01T00:00:00Z'))
    const now = clock.now() / 1000
    const verifier = verifierWith(
      async () => {
        clock.tick(30_000)
        return ['staff']
      },
      { clock },
    )
    const token = await sign(overage, { iat: now, exp: now + 30 })
    expect(await outcomeOf(verifier.verify(token))).toMatchObject({ code: 'ERR_SESSION_EXPIRED' })
  })
})

test('a failure is not remembered: the next request asks again', async () => {
  let down = true
  const verifier = verifierWith(async () => {
    if (down) throw new Error('503')
    return ['staff']
  })
  const token = await sign(overage)
  expect(await outcomeOf(verifier.verify(token))).toMatchObject(OUTAGE)
  down = false
  expect([...(await verifier.verify(token)).groups]).toEqual(['staff'])
})

test('a name that no rule can have is left out of an answer, with a warning, and the others count', async () => {
  const warnings: string[] = []
  const ignore = (): void => {}
  const log = {
    debug: ignore,
    info: ignore,
    error: ignore,
    warn: (_: object, text: string) => void warnings.push(text),
  }
  const session = await verify(async () => ['staff', 'a\u0000b', 'x'.repeat(1025)], { log })
  expect([session.groupsComplete, ...session.groups]).toEqual([true, 'staff'])
  expect(warnings).toEqual(['some groups are no clean text, and left out'])
})

test('a storm of requests with one token asks once, and those that come later not at all', async () => {
  let asked = 0
  const release = deferred<void>()
  const verifier = verifierWith(async () => {
    asked++
    await release.promise
    return ['staff']
  })
  const token = await sign(overage)
  const storm = Array.from({ length: 200 }, () => verifier.verify(token))
  release.resolve()
  expect(new Set(await Promise.all(storm)).size).toBe(1)
  await verifier.verify(token)
  expect(asked).toBe(1)
})

test('who gives up leaves alone; when the last has left, the resolver is told', async () => {
  const asked = deferred<AbortSignal>()
  const verifier = verifierWith((_, { signal }) => {
    asked.resolve(signal)
    return new Promise(() => {})
  })
  const token = await sign(overage)
  const [one, two] = [new AbortController(), new AbortController()]
  const waiting = [one, two].map(({ signal }) => verifier.verify(token, { signal }).catch((error: unknown) => error))
  const signal = await asked.promise
  one.abort(new Error('one left'))
  expect(await waiting[0]).toMatchObject({ message: 'one left' })
  expect(signal.aborted).toBe(false)
  two.abort(new Error('two left'))
  expect(await waiting[1]).toMatchObject({ message: 'two left' })
  expect(signal.aborted).toBe(true)
})

test('can’t change who a session is, nor reach a session that was made already', async () => {
  let seen: Session | undefined
  const mine: string[] = ['staff']
  const session = await verify(async (asked) => {
    seen = asked
    for (const change of [
      () => Object.assign(asked, { subject: 'mallory' }),
      () => (asked.groups as Set<string>).add('admins'),
      () => Object.assign(asked.claims, { sub: 'mallory' }),
    ])
      expect(change).toThrow(TypeError)
    return Object.assign(mine, { subject: 'mallory', issuer: 'https://other.example', kind: 'machine' })
  })
  mine.push('admins')
  expect(session).toMatchObject({ issuer: signer.issuer, subject: overage.claims['sub'], kind: 'user' })
  expect([...session.groups]).toEqual(['staff'])
  expect(session.id).toBe(seen?.id)
  expect(session.claims).toEqual(seen?.claims)
})

test('groups are the resolver’s or the token’s, never of both, and never of anywhere else', async () => {
  const lists = fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(
      lists,
      lists,
      fc.constantFrom('incomplete', 'always', undefined),
      fc.boolean(),
      async (inToken, answer, when, incomplete) => {
        const verifier = verifierWith(async () => answer, { when })
        const overageClaims = incomplete ? { hasgroups: true } : {}
        const session = await verifier.verify(await sign(user, { groups: inToken, ...overageClaims }))
        const expected = when === 'always' || incomplete ? answer : inToken
        expect([...session.groups]).toEqual([...new Set(expected)])
        expect(session.groupsComplete).toBe(true)
      },
    ),
    { numRuns: 100 },
  )
})
