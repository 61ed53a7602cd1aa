import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Signer, startSigner } from '../../../../test/fixtures/signer.ts'
import { type IssuerProfileName, issuerProfiles } from '../../src/oidc/index.ts'
import type { IssuerOptions } from '../../src/oidc/options.ts'
import type { Session } from '../../src/session.ts'
import { verifierOf } from './support.ts'
import { ENTRA_OVERAGE, VENDOR_TOKENS, type VendorToken } from './vendor-tokens.ts'

let signer: Signer
beforeAll(async () => {
  signer = await startSigner()
})
afterAll(() => signer.stop())

const read = async (issuer: Partial<IssuerOptions>, { header, claims }: VendorToken): Promise<Session> =>
  verifierOf(signer, issuer).verify(await signer.sign({ client_id: undefined, ...claims }, header))

const entra = VENDOR_TOKENS.entra.user

describe('groups are incomplete in a token of Entra ID,', () => {
  test.each(Object.entries(ENTRA_OVERAGE))('%s', async (_, token) => {
    const session = await read({ profile: 'entra' }, token)
    expect(session).toMatchObject({ kind: 'user', groupsComplete: false })
    expect([...session.groups]).toEqual([])
  })

  test('also beside groups that it holds, which are not all', async () => {
    const token = { ...entra, claims: { ...entra.claims, hasgroups: true } }
    const session = await read({ profile: 'entra' }, token)
    expect(session.groupsComplete).toBe(false)
    expect([...session.groups]).toEqual(entra.claims['groups'])
  })

  test.each([null, 'src1', {}, ['src1'], 0, false])('also where the reference to them is %j', async (groups) => {
    const token = { ...entra, claims: { ...entra.claims, _claim_names: { groups } } }
    expect((await read({ profile: 'entra' }, token)).groupsComplete).toBe(false)
  })

  test('but not where another claim is elsewhere', async () => {
    const token = { ...entra, claims: { ...entra.claims, _claim_names: { wids: 'src1' } } }
    expect((await read({ profile: 'entra' }, token)).groupsComplete).toBe(true)
  })

  test('unless a profile takes app roles for groups, of which a token holds all', async () => {
    const [token = entra] = Object.values(ENTRA_OVERAGE)
    const profile = { ...issuerProfiles.entra, groups: ['roles'], groupsIncomplete: [] }
    const session = await read({ profile }, token)
    expect(session.groupsComplete).toBe(true)
    expect([...session.groups]).toEqual(['Invoices.Read'])
  })
})

test.each(Object.keys(VENDOR_TOKENS) as IssuerProfileName[])(
  'groups are complete in the usual tokens of %s, of people and of machines',
  async (profile) => {
    for (const token of [VENDOR_TOKENS[profile].user, VENDOR_TOKENS[profile].machine])
      expect((await read({ profile }, token)).groupsComplete).toBe(true)
  },
)

describe('a profile of one’s own says what an incomplete token has:', () => {
  const { user } = VENDOR_TOKENS.rfc9068
  const profile = {
    ...issuerProfiles.rfc9068,
    groupsIncomplete: [
      { claim: 'groups_truncated', is: 'yes' },
      { claim: ['limits', 'groups'], present: true as const },
    ],
  }
  test.each([
    [{ groups_truncated: 'yes' }, false],
    [{ limits: { groups: 100 } }, false],
    [{ groups_truncated: 'yes', limits: { groups: 100 } }, false],
    [{ groups_truncated: 'no', limits: {} }, true],
    [{}, true],
  ])('with %j they are complete: %s', async (claims, complete) => {
    const session = await read({ profile }, { ...user, claims: { ...user.claims, ...claims } })
    expect(session.groupsComplete).toBe(complete)
    expect([...session.groups]).toEqual(user.claims['groups'])
  })

  test('also where it is one of ours, changed', async () => {
    const changed = { ...issuerProfiles.entra, user: [{ claim: 'oid', present: true as const }] }
    for (const token of Object.values(ENTRA_OVERAGE))
      expect((await read({ profile: changed }, token)).groupsComplete).toBe(false)
    expect((await read({ profile: changed }, entra)).groupsComplete).toBe(true)
  })

  test('and nothing where it is silent', async () => {
    const { user: token } = VENDOR_TOKENS.rfc9068
    const silent = { ...issuerProfiles.rfc9068, groupsIncomplete: undefined }
    const claims = { ...token.claims, hasgroups: true, _claim_names: { groups: 'src1' } }
    expect((await read({ profile: silent }, { ...token, claims })).groupsComplete).toBe(true)
  })
})

test.each([7, true, { admin: true }, ['a', 7], ['a', ''], [['a']]])(
  'malformed groups, %j, are not known, and so incomplete',
  async (groups) => {
    const { user } = VENDOR_TOKENS.rfc9068
    const session = await read({}, { ...user, claims: { ...user.claims, groups } })
    expect(session.groupsComplete).toBe(false)
    expect(session.groups.size).toBe(0)
  },
)

test.each([
  ['no groups', undefined],
  ['null', null],
  ['an empty list', []],
  ['a name that no rule can have', ['a', 'b\u200dc']],
])('%s leave nothing open', async (_, groups) => {
  const { user } = VENDOR_TOKENS.rfc9068
  expect((await read({}, { ...user, claims: { ...user.claims, groups } })).groupsComplete).toBe(true)
})

test('two tokens that differ in that alone give sessions of different rights', async () => {
  const { snapshotOf } = await import('../../src/session.ts')
  const [one, two] = await Promise.all(
    [{}, { hasgroups: true }].map((more) =>
      read({ profile: 'entra' }, { ...entra, claims: { ...entra.claims, ...more } }),
    ),
  )
  expect(snapshotOf(one)?.key).not.toBe(snapshotOf(two)?.key)
})

test('groups come from the claim of the profile alone, whatever else a token holds', async () => {
  const names = fc.constantFrom('roles', 'scp', 'scope', 'Groups', 'group', 'wids', 'memberOf', 'more', 'hasgroups')
  const lists = fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(lists, fc.dictionary(names, lists), async (groups, others) => {
      const claims = { ...VENDOR_TOKENS.entra.user.claims, ...others, groups }
      const session = await read({ profile: 'entra' }, { ...entra, claims })
      expect([...session.groups]).toEqual([...new Set(groups)])
      expect(session.groupsComplete).toBe(!Object.hasOwn(others, 'hasgroups'))
    }),
    { numRuns: 100 },
  )
})
