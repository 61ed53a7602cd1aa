import { testSession } from '@mcp-delegation/core/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { accountsFromEnvironment, type EnvironmentAccountsOptions, userAccounts } from '../src/index.ts'
import { IDP, login } from './support.ts'

const PREFIX = 'MCP_DELEGATION_TEST_PASSWORD_'
const user = (username: string) => ({ issuer: IDP, subject: `id of ${username}`, username })
const accountsOf = (...usernames: readonly string[]) =>
  accountsFromEnvironment({ target: 'vcenter', prefix: PREFIX, users: usernames.map(user) })

afterEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith(PREFIX)) delete process.env[name]
})

test('finds the password of each user in a variable of their own', async () => {
  const accounts = accountsOf('ann.lee', 'Bob', 'zoë@corp')
  expect(accounts.map(({ password }) => password)).toEqual(
    ['ANN_LEE', 'BOB', 'ZO__CORP'].map((name) => ({ env: PREFIX + name })),
  )
  process.env[`${PREFIX}ANN_LEE`] = 'password of ann'
  process.env[`${PREFIX}BOB`] = 'password of bob'
  const module = userAccounts({ accounts })
  const ann = testSession({ subject: 'id of ann.lee' })
  expect(await login(module, ann, 'vcenter')).toBe('ann.lee password of ann')
  expect(await login(module, testSession({ subject: 'id of Bob' }), 'vcenter')).toBe('Bob password of bob')
  process.env[`${PREFIX}ANN_LEE`] = 'rotated password'
  expect(await login(module, ann, 'vcenter')).toBe('ann.lee rotated password')
})

test('a user whose variable is missing has no credential, and no other one', async () => {
  process.env[`${PREFIX}BOB`] = 'password of bob'
  const module = userAccounts({ accounts: accountsOf('ann', 'bob') })
  expect(await login(module, testSession({ subject: 'id of ann' }), 'vcenter')).toBe('ERR_DELEGATION_UNAVAILABLE')
})

test('two users never have one variable', () => {
  for (const pair of [
    ['a.b@c', 'a_b_c'],
    ['a_b_c', 'A.B.C'],
    ['A.B.C', 'a.b@c'],
    ['alice', 'ALICE'],
    ['zoé', 'zoë'],
    ['a b', 'a-b'],
  ] as const)
    expect(() => accountsOf('somebody', ...pair)).toThrow(
      /^"users\[2\]\.username" has the variable [A-Z0-9_]+, as another user has$/,
    )
})

test('no two of any users have one variable', () => {
  const username = fc.stringMatching(/^[a-cA-C._@-]{1,4}$/)
  let accepted = 0
  fc.assert(
    fc.property(fc.uniqueArray(username, { minLength: 2, maxLength: 4 }), (usernames) => {
      const slugs = new Set(usernames.map((name) => name.toUpperCase().replace(/[^A-Z0-9]/g, '_')))
      let accounts: ReturnType<typeof accountsOf>
      try {
        accounts = accountsOf(...usernames)
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
        expect(slugs.size).toBeLessThan(usernames.length)
        return
      }
      accepted++
      expect(new Set(accounts.map(({ password }) => JSON.stringify(password))).size).toBe(usernames.length)
    }),
    { numRuns: 500 },
  )
  expect(accepted).toBeGreaterThan(50)
})

test('a collision of two lists with one prefix is found where they are joined', () => {
  const accounts = [
    ...accountsFromEnvironment({ target: 'a', prefix: PREFIX, users: [user('a.b@c')] }),
    ...accountsFromEnvironment({ target: 'b', prefix: PREFIX, users: [user('a_b_c')] }),
  ]
  expect(() => userAccounts({ accounts })).toThrow(/^"accounts\[1\]\.password" is the one of "accounts\[0\]"/)
})

test('two identities with one user name are one account, which userAccounts refuses unless they are linked', () => {
  const users = [
    { issuer: IDP, subject: 'alice', username: 'alice' },
    { issuer: 'https://other.example', subject: 'a1', username: 'alice' },
  ]
  const accounts = accountsFromEnvironment({ target: 'vcenter', prefix: PREFIX, users })
  expect(() => userAccounts({ accounts })).toThrow(TypeError)
  userAccounts({ accounts, links: [users] })
})

describe('refuses options', () => {
  const good: EnvironmentAccountsOptions = { target: 'vcenter', prefix: PREFIX, users: [user('alice')] }
  for (const [option, values] of Object.entries({
    target: [undefined, '', 'a\u2028', 'a\n', 7],
    prefix: [undefined, '', '1A', 'a_', 'A-B', 'A=', 'A\n', 7],
    users: [undefined, {}, 'alice', [null], [{}], [user('')], [user('a\n')], [{ ...user('a'), username: 7 }]],
  }))
    test(`with a malformed ${option}, naming it`, () => {
      for (const value of values)
        expect(() =>
          accountsFromEnvironment({ ...good, [option]: value } as unknown as EnvironmentAccountsOptions),
        ).toThrow(new RegExp(`^"${option}`))
      expect(() => accountsFromEnvironment(undefined as unknown as EnvironmentAccountsOptions)).toThrow(TypeError)
    })
})
