import { describe, expect, test } from 'vitest'
import { type IssuerOptions, issuerProfiles, type OidcVerifierOptions, oidcVerifier } from '../../src/oidc/index.ts'

const issuer = 'https://idp.example'
const build = (options: object): unknown =>
  oidcVerifier({ issuers: [{ issuer }], audience: 'https://mcp.example/mcp', ...options } as OidcVerifierOptions)
const withIssuer = (options: object): unknown => build({ issuers: [{ issuer, ...options } as IssuerOptions] })

test('a verifier says whose tokens it accepts, and asks nobody before the first token', () => {
  const verifier = oidcVerifier({ issuers: [{ issuer }, { issuer: 'http://127.0.0.1:1/x' }], audience: ['a', 'b'] })
  expect(verifier.issuers).toEqual([issuer, 'http://127.0.0.1:1/x'])
  expect(Object.isFrozen(verifier.issuers)).toBe(true)
})

test.each(['http://localhost:8080/realms/a', 'http://127.0.0.1:80', 'http://[::1]:8080', 'https://t.auth0.com/'])(
  'the issuer %s is fine',
  (one) => {
    expect(() => withIssuer({ issuer: one })).not.toThrow()
  },
)

describe('issuers', () => {
  test.each([
    ['none', []],
    ['no list', { issuer }],
    ['nothing', undefined],
  ])('%s: a TypeError', (_, issuers) => {
    expect(() => build({ issuers })).toThrow(new TypeError('"issuers" must be a list that is not empty'))
  })

  test.each([
    'http://idp.example',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'ftp://idp.example',
    'https://user:password@idp.example',
    'https://idp.example/#fragment',
    'https://idp.example/?tenant=a',
    'idp.example',
    ' https://idp.example',
    'https://idp.example ',
    'https://idp.example\n',
    'https://idp.ex\tample',
    'https:idp.example',
    'https:/idp.example',
    'https:\\\\idp.example',
    'https:///idp.example',
    'https://idp.example#',
    'https://idp.example/?',
    'https://@idp.example',
    '',
    undefined,
    7,
  ])('%s: a TypeError', (one) => {
    expect(() => withIssuer({ issuer: one })).toThrow(/^"issuers\[0\]\.issuer" must be an https URL/)
  })

  test('the same twice: a TypeError', () => {
    const twice = [{ issuer }, { issuer }]
    expect(() => build({ issuers: twice })).toThrow(new TypeError('"issuers[1].issuer" must not be there twice'))
  })

  test('two with introspection: a TypeError, since a token would be shown to the wrong one', () => {
    const introspection = { clientId: 'a', clientSecret: { env: 'SECRET' } }
    const issuers = [
      { issuer, introspection },
      { issuer: 'https://other.example', introspection },
    ]
    expect(() => build({ issuers })).toThrow('"issuers" must not hold several with "introspection"')
  })
})

describe('an option that is wrong is a TypeError that names it:', () => {
  test.each<[string, object]>([
    ['"audience"', { audience: undefined }],
    ['"audience"', { audience: '' }],
    ['"audience"', { audience: [] }],
    ['"audience"', { audience: ['a', ''] }],
    ['"maxTokenAge"', { maxTokenAge: 0 }],
    ['"maxTokenAge"', { maxTokenAge: Number.NaN }],
    ['"maxTokenAge"', { maxTokenAge: '24h' }],
    ['"clockTolerance"', { clockTolerance: -1 }],
    ['"clockTolerance"', { clockTolerance: 3_600_000 }],
    ['"timeout"', { timeout: 0 }],
    ['"timeout"', { timeout: Number.POSITIVE_INFINITY }],
    ['"cache"', { cache: null }],
    ['"cache"', { cache: 60_000 }],
    ['"cache.max"', { cache: { max: 0 } }],
    ['"cache.maxAge"', { cache: { maxAge: 3_600_000 } }],
    ['"verifyMore"', { verifyMore: {} }],
    ['"clock"', { clock: {} }],
    ['"log"', { log: {} }],
  ])('%s', (name, options) => {
    expect(() => build(options)).toThrow(TypeError)
    expect(() => build(options)).toThrow(name)
  })

  const { rfc9068, keycloak } = issuerProfiles
  test.each<[string, object]>([
    ['jwksUri', { jwksUri: 'http://keys.example/jwks' }],
    ['groups', { groups: '' }],
    ['groups', { groups: [] }],
    ['groups', { groups: ['a', 7] }],
    ['profile', { profile: 'cognito' }],
    ['profile', { profile: 'toString' }],
    ['profile.types', { profile: {} }],
    ['profile.types', { profile: { ...rfc9068, types: [] } }],
    ['profile.types', { profile: { ...rfc9068, types: ['AT+JWT'] } }],
    ['profile.types', { profile: { ...rfc9068, types: ['application/at+jwt'] } }],
    ['profile.clientId', { profile: { ...rfc9068, clientId: [] } }],
    ['profile.user', { profile: { ...rfc9068, user: [] } }],
    ['profile.user', { profile: { ...rfc9068, user: [{ claim: 'sub' }] } }],
    ['profile.user.is', { profile: { ...rfc9068, user: [{ claim: 'sub', is: [] }] } }],
    ['profile.user.present', { profile: { ...rfc9068, user: [{ claim: 'sub', present: false }] } }],
    ['profile.user.contains', { profile: { ...rfc9068, user: [{ claim: 'sub', contains: '' }] } }],
    ['profile.user.exists', { profile: { ...rfc9068, user: [{ claim: 'sub', exists: 'yes' }] } }],
    ['profile.groupsIncomplete', { profile: { ...rfc9068, groupsIncomplete: {} } }],
    ['profile.groupsIncomplete', { profile: { ...rfc9068, groupsIncomplete: [{ claim: 'more' }] } }],
    ['groupResolver', { groupResolver: async () => [] }],
    ['groupResolver.resolve', { groupResolver: {} }],
    ['groupResolver.when', { groupResolver: { resolve: async () => [], when: 'never' } }],
    ['groupResolver.timeout', { groupResolver: { resolve: async () => [], timeout: 7 } }],
    ['profile.accessToken', { profile: { ...keycloak, accessToken: [] } }],
    ['profile.accessToken', { profile: { ...rfc9068, types: [null], accessToken: [] } }],
    ['introspection.clientId', { introspection: { clientSecret: { env: 'A' } } }],
    ['introspection.clientSecret', { introspection: { clientId: 'a' } }],
    ['introspection.clientSecret', { introspection: { clientId: 'a', clientSecret: 'in the clear' } }],
    [
      'introspection.authentication',
      { introspection: { clientId: 'a', clientSecret: { env: 'A' }, authentication: 'none' } },
    ],
  ])('issuers[0].%s', (name, options) => {
    expect(() => withIssuer(options)).toThrow(TypeError)
    expect(() => withIssuer(options)).toThrow(`"issuers[0].${name}`)
  })
})
