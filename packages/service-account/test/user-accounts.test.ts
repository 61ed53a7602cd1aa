import { inspect } from 'node:util'
import type { SecretSource } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type UserAccount, type UserAccountsOptions, userAccounts } from '../src/index.ts'
import { looks } from '../src/likeness.ts'
import { codeOf, contextOf, given, IDP, login } from './support.ts'

const OTHER = 'https://other.example'
const [alice, bob] = [testSession({ subject: 'alice' }), testSession({ subject: 'bob' })]

function entry(subject: string, changes: Partial<UserAccount> = {}): UserAccount {
  return {
    issuer: IDP,
    subject,
    target: 'billing',
    username: `${subject}_b`,
    password: given(`password of ${subject}`),
    ...changes,
  }
}

test('gives each user their own account', async () => {
  const crm = entry('alice', { target: 'crm', username: 'AL', password: given('crm-password') })
  const module = userAccounts({ accounts: [entry('alice'), entry('bob'), crm] })
  expect([module.type, module.shared, module.reuse, module.maxAge]).toEqual(['user-account', undefined, 'user', 60_000])
  expect(module.target({ target: 'crm' })).toBe('crm')
  expect(await login(module, alice)).toBe('alice_b password of alice')
  expect(await login(module, bob)).toBe('bob_b password of bob')
  expect(await login(module, alice, 'crm')).toBe('AL crm-password')
})

test('a user without an entry for the target is not mapped', async () => {
  const module = userAccounts({ accounts: [entry('alice'), entry('bob', { target: 'crm' })] })
  for (const [subject, target] of [
    ['bob', 'billing'],
    ['alice', 'crm'],
    ['alice', 'erp'],
    ['alice', 'Billing'],
    ['Alice', 'billing'],
    ['alice ', 'billing'],
    ['__proto__', 'billing'],
    ['constructor', '__proto__'],
  ] as const)
    expect(await login(module, testSession({ subject }), target), `${subject} ${target}`).toBeUndefined()
  expect(await login(module, testSession({ subject: 'alice', issuer: OTHER }))).toBeUndefined()
  expect(await login(module, testSession({ subject: 'alice', issuer: `${IDP}/` }))).toBeUndefined()
})

test('issuer, subject and target cannot be shifted into each other', async () => {
  const odd = entry('b","c', { issuer: 'a', target: 'd' })
  const module = userAccounts({ accounts: [odd] })
  expect(await login(module, testSession({ issuer: 'a', subject: 'b","c' }), 'd')).toBe('b","c_b password of b","c')
  expect(await login(module, testSession({ issuer: 'a","b', subject: 'c' }), 'd')).toBeUndefined()
  expect(await login(module, testSession({ issuer: 'a', subject: 'b' }), 'c","d')).toBeUndefined()
  const plain = userAccounts({ accounts: [entry('bc', { issuer: 'a', target: 'd' })] })
  expect(await login(plain, testSession({ issuer: 'ab', subject: 'c' }), 'd')).toBeUndefined()
  expect(await login(plain, testSession({ issuer: 'a', subject: 'b' }), 'cd')).toBeUndefined()
})

test('a machine is denied, with and without an entry', async () => {
  const module = userAccounts({ accounts: [entry('alice')] })
  for (const subject of ['alice', 'worker'])
    expect(await login(module, testSession({ subject, kind: 'machine' }))).toBe('ERR_DELEGATION_DENIED')
})

test('issues to nobody but the user of the entry', async () => {
  const module = userAccounts({ accounts: [entry('alice'), entry('bob')] })
  for (const [session, principal] of [
    [bob, 'alice_b'],
    [testSession({ subject: 'mallory' }), 'alice_b'],
    [testSession({ kind: 'machine' }), 'alice_b'],
  ] as const) {
    const issuing = module.issue({ target: 'billing' }, contextOf(session, principal))
    expect(await issuing.catch(codeOf)).toBe('ERR_DELEGATION_DENIED')
  }
})

test('the list is copied', async () => {
  const accounts = [entry('alice')]
  const module = userAccounts({ accounts })
  Object.assign(accounts[0] ?? {}, { username: 'root', subject: 'bob' })
  accounts.push(entry('bob', { username: 'root2' }))
  expect(await login(module, alice)).toBe('alice_b password of alice')
  expect(await login(module, bob)).toBeUndefined()
})

describe('an entry is refused', () => {
  const build = (accounts: readonly UserAccount[], rest: Partial<UserAccountsOptions> = {}) => {
    return () => userAccounts({ accounts, ...rest })
  }

  test('where user and target have one already', () => {
    expect(build([entry('alice'), entry('bob'), entry('alice', { username: 'second' })])).toThrow(
      '"accounts[2]" is for the user and target of "accounts[0]"',
    )
    const same = { issuer: IDP, subject: 'alice' }
    const both = [entry('alice'), entry('alice', { username: 'second' })]
    expect(build(both, { links: [[same, { issuer: OTHER, subject: 'x' }]] })).toThrow('is for the user and target')
  })

  test('where another user has the user name, at this target or at another', () => {
    for (const changes of [{}, { target: 'crm' }, { issuer: OTHER }])
      expect(build([entry('alice'), entry('bob', { username: 'alice_b', ...changes })])).toThrow(
        /^"accounts\[1\]\.username" is the one of "accounts\[0\]", and no list of "links"/,
      )
  })

  test('where the backend could take the user name for that of another', () => {
    for (const [one, other] of [
      ['alice', 'ALICE'],
      ['karl', '\u212aarl'],
      ['strasse', 'straße'],
      ['rene', 'rené'],
      ['rene', 'rene\u00a0'],
      ['rene', '\u3164rene'],
    ] as const) {
      const accounts = [entry('alice', { username: one }), entry('bob', { username: other })]
      expect(build(accounts)).toThrow(/^"accounts\[1\]\.username" is the one of/)
      build(accounts, { case: 'sensitive' })()
    }
  })

  test('where another user has the password', () => {
    const shared = given('one-for-both')
    for (const [one, other] of [
      [{ env: 'SHARED' }, { env: 'SHARED' }],
      [{ file: '/run/secrets/a' }, { file: '/run/secrets/../secrets//a' }],
      [{ file: '/run/secrets/a' }, { file: '/run/secrets/a/' }],
      [{ file: '/run/secrets/a' }, { file: '//run/secrets/a', env: undefined } as unknown as SecretSource],
      [{ env: 'SHARED', file: undefined } as unknown as SecretSource, { env: 'SHARED' }],
      [shared, shared],
    ] as const)
      expect(build([entry('alice', { password: one }), entry('bob', { password: other })])).toThrow(
        /^"accounts\[1\]\.password" is the one of "accounts\[0\]"/,
      )
    build([entry('alice', { password: { env: 'A' } }), entry('bob', { password: { env: 'B' } })])()
  })

  test('unless links say that both are one person', async () => {
    const [here, there] = [
      { issuer: IDP, subject: 'alice' },
      { issuer: OTHER, subject: 'a1' },
    ]
    const password = given('of both')
    const accounts = [entry('alice', { password }), entry('a1', { issuer: OTHER, username: 'Alice_B', password })]
    expect(build(accounts)).toThrow(TypeError)
    expect(build(accounts, { links: [[here, { issuer: OTHER, subject: 'a2' }]] })).toThrow(TypeError)
    const module = userAccounts({ accounts, links: [[here, there]] })
    expect(module.linked?.(here, there)).toBe(true)
    expect(module.linked?.(here, { issuer: IDP, subject: 'bob' })).toBe(false)
    expect(await login(module, testSession(there))).toBe('Alice_B of both')
    expect(build([...accounts, entry('bob', { username: 'alice_b' })], { links: [[here, there]] })).toThrow(TypeError)
  })

  test('never where one user has the same account at two targets', () => {
    const password = { env: 'ALICE' }
    build([entry('alice', { password }), entry('alice', { target: 'crm', password })])()
  })

  test('where it is malformed, naming its member', () => {
    for (const [member, values] of Object.entries({
      issuer: [undefined, '', 'a\n', 7],
      subject: [undefined, '', 'a\u0000', null, ['alice'], 'x'.repeat(256)],
      target: [undefined, '', 'billing\u200b', 7],
      username: [undefined, '', ' a', 'a ', 'a\u202eb', '\ud800', 7],
      password: [undefined, 'hunter2-hunter2', {}, { env: 'A B' }, { file: 'relative' }],
    }))
      for (const value of values)
        expect(build([entry('bob'), { ...entry('alice'), [member]: value } as UserAccount])).toThrow(
          new RegExp(`^"accounts\\[1\\]\\.${member}" must be (?!.*hunter2)`),
        )
    for (const broken of [null, undefined, 'alice', 7])
      expect(build([broken as unknown as UserAccount])).toThrow(TypeError)
  })

  test('in lists of anything, whenever two people would have one account', () => {
    const name = fc.constantFrom('a', 'A', 'ä', 'b', 'ß', 'ss', 'k', '\u212a')
    const target = fc.constantFrom('x', 'y')
    const one = fc.tuple(fc.constantFrom('p', 'q', 'r'), target, name)
    let [accepted, refused] = [0, 0]
    fc.assert(
      fc.property(fc.uniqueArray(one, { maxLength: 4, selector: ([s, t]) => s + t }), (rows) => {
        const owners = new Map<string, Set<string>>()
        for (const [subject, , username] of rows)
          owners.set(looks(username), (owners.get(looks(username)) ?? new Set()).add(subject))
        const collides = [...owners.values()].some((people) => people.size > 1)
        const accounts = rows.map(([subject, at, username]) =>
          entry(subject, { target: at, username, password: given(`${subject}${at}`) }),
        )
        if (collides) expect(build(accounts)).toThrow(TypeError)
        else build(accounts)()
        collides ? refused++ : accepted++
      }),
      { numRuns: 500 },
    )
    expect(Math.min(accepted, refused)).toBeGreaterThan(50)
  })
})

test('refuses malformed options, naming them', () => {
  for (const [options, name] of [
    [undefined, 'accounts'],
    [{}, 'accounts'],
    [{ accounts: {} }, 'accounts'],
    [{ accounts: [], case: 'upper' }, 'case'],
    [{ accounts: [], case: null }, 'case'],
    [{ accounts: [], maxAge: -1 }, 'maxAge'],
    [{ accounts: [], links: 'alice' }, 'links'],
    [{ accounts: [], links: [[{ issuer: IDP, subject: 'alice' }]] }, 'links'],
  ] as const)
    expect(() => userAccounts(options as unknown as UserAccountsOptions)).toThrow(new RegExp(`^"${name}`))
  userAccounts({ accounts: [] })
})

test('a password that cannot be read is an outage, not a missing identity', async () => {
  const accounts = [entry('alice', { password: { file: '/nonexistent/mcp-delegation' } })]
  const module = userAccounts({ accounts })
  expect(await login(module, alice)).toBe('ERR_DELEGATION_UNAVAILABLE')
  const checking = module.check?.({ signal: new AbortController().signal })
  await expect(checking).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  await userAccounts({ accounts: [entry('alice')] }).check?.({ signal: new AbortController().signal })
})

test('a password is a secret wherever the credential is printed', async () => {
  const module = userAccounts({ accounts: [entry('alice')], maxAge: 500 })
  const issued = await module.issue({ target: 'billing' }, contextOf(alice, 'alice_b'))
  expect(issued.expiresAt).toEqual(new Date(1_500))
  expect(inspect([issued, module], { depth: null, showHidden: true })).not.toContain('password of')
  expect(JSON.stringify(issued)).toContain('[redacted]')
})
