import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import { type IssuerProfile, type IssuerProfileName, issuerProfiles } from '../../src/oidc/index.ts'
import type { Session } from '../../src/session.ts'
import { outcomeOf, verifierOf } from './support.ts'
import { VENDOR_TOKENS, type VendorToken } from './vendor-tokens.ts'

let signer: Signer
beforeAll(async () => {
  signer = await startSigner()
})
afterAll(() => signer.stop())

const NAMES = Object.keys(issuerProfiles) as readonly IssuerProfileName[]

/** The vendor's token as it would be if the audience were ours: nothing but its kind tells whether to take it. */
const sign = ({ header, claims }: VendorToken, more: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  signer.sign({ client_id: undefined, ...claims, ...more }, header)

const read = async (profile: IssuerProfileName | IssuerProfile, token: VendorToken, more = {}): Promise<Session> =>
  verifierOf(signer, { profile }).verify(await sign(token, more))

describe.each([
  [
    'rfc9068',
    { clientId: 's6BhdRkqt3', displayName: '5ba552d67' },
    ['openid', 'profile', 'reademail'],
    ['staff', 'finance'],
    ['auditor'],
  ],
  [
    'keycloak',
    { clientId: 'mcp-client', displayName: 'alice' },
    ['openid', 'profile', 'email'],
    ['/staff', '/staff/finance'],
    ['offline_access', 'billing-reader'],
  ],
  [
    'entra',
    { clientId: '6e74172b-be56-4843-9ff4-e66a39bb12e3', displayName: 'abeli@microsoft.com' },
    ['access_as_user', 'invoices.read'],
    ['8f9d1e2c-0b1a-4c3d-9e8f-7a6b5c4d3e2f'],
    ['Invoices.Read'],
  ],
  [
    'auth0',
    { clientId: 'K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja', displayName: 'auth0|6553da60a54af58e29493993' },
    ['openid', 'profile', 'read:invoices'],
    [],
    ['read:invoices'],
  ],
  [
    'okta',
    { clientId: 'nmdP1fcyvdVO11AL7ECm', displayName: 'joe.user@corp.example' },
    ['openid', 'invoices.read'],
    ['Everyone', 'finance'],
    [],
  ],
  ['authentik', { clientId: 'Fq3bJ5wq9oD4mE2yV7nT1sK8', displayName: 'alice' }, [], ['staff', 'finance'], []],
] as const)('the profile %s', (name, identity, scopes, groups, roles) => {
  const { user, machine, id } = VENDOR_TOKENS[name]

  test('reads the token of a user', async () => {
    const session = await read(name, user)
    expect(session).toMatchObject({ ...identity, kind: 'user', subject: user.claims['sub'] })
    expect([...session.scopes]).toEqual(scopes)
    expect([...session.groups]).toEqual(groups)
    expect([...session.roles]).toEqual(roles)
  })

  test('reads the token of a machine as that', async () => {
    expect(await read(name, machine)).toMatchObject({ kind: 'machine', subject: machine.claims['sub'] })
  })

  test('refuses the ID token', async () => {
    expect(await outcomeOf(read(name, id))).toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })

  test('takes a token without the proof of a person for a machine', async () => {
    for (const { claim } of issuerProfiles[name].user.filter(({ claim }) => claim !== 'sub' && claim !== 'client_id')) {
      expect(await read(name, user, { [String(claim)]: undefined })).toMatchObject({ kind: 'machine' })
    }
  })

  test('is always overruled by what marks a machine', async () => {
    const marks = [
      { sub: identity.clientId },
      { idtyp: 'app' },
      { gty: 'client-credentials' },
      { gty: ['refresh_token', 'client-credentials'] },
      { sub: 'auth0|x@clients' },
      { preferred_username: 'service-account-reporting' },
      { preferred_username: 'Service-Account-reporting' },
      { sub: 'other', client_id: 'other' },
      { sub: 'other', appid: 'other' },
      { clientHost: '10.0.0.7' },
      { clientAddress: '10.0.0.7' },
    ]
    for (const mark of marks) expect(await read(name, user, mark)).toMatchObject({ kind: 'machine' })
  })

  test('accepts no other make’s ID token, and takes no machine for a user', async () => {
    for (const other of NAMES) {
      const refusal = await outcomeOf(read(name, VENDOR_TOKENS[other].id))
      expect({ other, code: refusal.code }).toEqual({ other, code: 'ERR_SESSION_INVALID' })
      const kind = await read(name, VENDOR_TOKENS[other].machine).then(
        (session) => session.kind,
        () => 'refused',
      )
      expect({ other, kind }).not.toEqual({ other, kind: 'user' })
    }
  })
})

test('Entra tokens of version 1.0 name the client as appid', async () => {
  const { header, claims } = VENDOR_TOKENS.entra.user
  const v1 = { azp: undefined, appid: claims['azp'], appidacr: '0', ver: '1.0' }
  expect(await read('entra', { header, claims }, v1)).toMatchObject({ clientId: claims['azp'], kind: 'user' })
})

test('an Entra machine token that says so is a machine, even with a scope', async () => {
  expect(await read('entra', VENDOR_TOKENS.entra.machine, { idtyp: 'app', scp: 'x' })).toMatchObject({
    kind: 'machine',
  })
})

test('Auth0’s RFC 9068 tokens name the client as client_id', async () => {
  const { claims } = VENDOR_TOKENS.auth0.user
  const token = { header: { typ: 'at+jwt' }, claims: { ...claims, azp: undefined, client_id: claims['azp'], jti: 'j' } }
  expect(await read('auth0', token)).toMatchObject({ clientId: claims['azp'], kind: 'user' })
})

test('a Keycloak service account whose refresh tokens give it a session is a machine all the same', async () => {
  expect(await read('keycloak', VENDOR_TOKENS.keycloak.machine, { sid: 's' })).toMatchObject({ kind: 'machine' })
})

test('a Keycloak token that is bound to a key, or says another type, is refused', async () => {
  for (const typ of ['DPoP', 'Refresh', 'Offline', 'Logout', undefined, ['Bearer']]) {
    const outcome = await outcomeOf(read('keycloak', VENDOR_TOKENS.keycloak.user, { typ }))
    expect({ typ, code: outcome.code }).toEqual({ typ, code: 'ERR_SESSION_INVALID' })
  }
})

test('a profile of one’s own can ask for a better proof', async () => {
  const profile: IssuerProfile = {
    ...issuerProfiles.rfc9068,
    user: [{ claim: ['login', 'kind'], is: ['password', 'passkey'] }],
  }
  const { user } = VENDOR_TOKENS.rfc9068
  expect(await read(profile, user)).toMatchObject({ kind: 'machine' })
  expect(await read(profile, user, { login: { kind: 'passkey' } })).toMatchObject({ kind: 'user' })
  expect(await read(profile, user, { login: { kind: 'api-key' } })).toMatchObject({ kind: 'machine' })
})

test.each<[unknown, string]>([
  ['s1', 'user'],
  [1_700_000_000, 'user'],
  ['', 'machine'],
  [null, 'machine'],
  [0, 'machine'],
  [-1, 'machine'],
  [false, 'machine'],
  [true, 'machine'],
  [[], 'machine'],
  [['s1'], 'machine'],
  [{}, 'machine'],
])('where a claim must be present, one that is %j makes a %s', async (login, kind) => {
  const profile: IssuerProfile = { ...issuerProfiles.rfc9068, user: [{ claim: 'login', present: true }] }
  expect(await read(profile, VENDOR_TOKENS.rfc9068.user, { login })).toMatchObject({ kind })
})

test('a machine is also known where a profile of one’s own names the client in its own way', async () => {
  const profile: IssuerProfile = {
    ...issuerProfiles.rfc9068,
    clientId: [['app', 'name']],
    user: [{ claim: 'sub', present: true }],
  }
  const { user } = VENDOR_TOKENS.rfc9068
  expect(await read(profile, user, { app: { name: 'portal' } })).toMatchObject({ kind: 'user', clientId: 'portal' })
  expect(await read(profile, user, { app: { name: 'portal' }, sub: 'portal' })).toMatchObject({ kind: 'machine' })
})

test('an authentik ID token to which a mapping adds one of the marks of an access token is refused', async () => {
  for (const mark of [{ azp: 'client' }, { uid: 'u' }])
    expect(await outcomeOf(read('authentik', VENDOR_TOKENS.authentik.id, mark))).toMatchObject({
      code: 'ERR_SESSION_INVALID',
    })
})

test('a profile can’t be changed later, neither one’s own nor one that has a name', async () => {
  const types: (string | null)[] = ['at+jwt']
  const user = [{ claim: 'amr', present: true as const }]
  const verifier = verifierOf(signer, { profile: { ...issuerProfiles.rfc9068, types, user } })
  types.push('jwt')
  user.length = 0
  expect(await verifier.verify(await sign(VENDOR_TOKENS.rfc9068.user))).toMatchObject({ kind: 'machine' })
  expect(await outcomeOf(verifier.verify(await signer.sign({}, { typ: 'JWT' })))).toMatchObject({
    code: 'ERR_SESSION_INVALID',
  })
  expect(() => (issuerProfiles.keycloak.user as unknown[]).pop()).toThrow(TypeError)
  expect(() => Object.assign(issuerProfiles.keycloak.user[0] ?? {}, { claim: 'sub' })).toThrow(TypeError)
})
