import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { DelegationRegistry, firstMapped, type ModuleMap, type Session } from '@mcp-delegation/core'
import { fakeClock, memoryAudit, testSession } from '@mcp-delegation/core/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serviceAccount, userAccounts } from '../src/index.ts'
import { codeOf, given, IDP } from './support.ts'

const MINUTE = 60_000
const REQUEST = { target: 'billing' }
const groups = new Set(['billing'])
const [alice, bob] = [testSession({ subject: 'alice', groups }), testSession({ subject: 'bob', groups })]
const mallory = testSession({ subject: 'mallory' })

function open<const M extends ModuleMap>(modules: M) {
  const audit = memoryAudit()
  const clock = fakeClock(new Date())
  return { audit, clock, registry: new DelegationRegistry({ modules, audit, clock, policy: 'backend-decides' }) }
}

const personal = (subject: string, password = given(`password of ${subject}`)) => ({
  issuer: IDP,
  subject,
  target: 'billing',
  username: `${subject}_b`,
  password,
})
const shared = (password = given('shared-password')) =>
  serviceAccount({
    accounts: { billing: { username: 'bill', password } },
    allow: (session) => session.groups.has('billing'),
  })

describe('a personal account first, the shared one for the rest', () => {
  test('falls back only where the mapping has no entry, and only those who are allowed', async () => {
    const { registry, audit } = open({
      billing: firstMapped(userAccounts({ accounts: [personal('alice')] }), shared()),
    })
    await using _ = registry
    const served: unknown[] = []
    for (const session of [alice, bob, mallory]) {
      const lease = await registry.delegate('billing', session, REQUEST).catch(codeOf)
      served.push(typeof lease === 'string' ? lease : [lease.type, lease.principal, lease.value.password.reveal()])
    }
    expect(served).toEqual([
      ['user-account', 'alice_b', 'password of alice'],
      ['service-account', 'bill', 'shared-password'],
      'ERR_DELEGATION_DENIED',
    ])
    expect(audit.records).toMatchObject([
      { subject: 'alice', type: 'user-account', principal: 'alice_b', outcome: 'issued', target: 'billing' },
      { subject: 'bob', type: 'service-account', principal: 'bill', outcome: 'issued', target: 'billing' },
      { subject: 'mallory', type: 'service-account', outcome: 'refused', code: 'ERR_DELEGATION_DENIED' },
    ])
    expect(inspect(audit.records, { depth: null })).not.toMatch(/password of|shared-password/)
  })

  test('a user whose own password is missing is not widened to the shared account', async () => {
    const reads: string[] = []
    const gone = async (): Promise<string> => Promise.reject(new Error('no such secret'))
    const sharedPassword = async (): Promise<string> => {
      reads.push('shared')
      return 'shared-password'
    }
    const { registry, audit } = open({
      billing: firstMapped(userAccounts({ accounts: [personal('alice', gone)] }), shared(sharedPassword)),
    })
    await using _ = registry
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await registry.delegate('billing', alice, REQUEST).catch(codeOf)).toBe('ERR_DELEGATION_UNAVAILABLE')
    expect(reads).toEqual([])
    for (const record of audit.records)
      expect(record).toMatchObject({ type: 'user-account', outcome: 'failed', principal: 'alice_b' })
  })

  test('a machine is not widened to it either', async () => {
    const machine = testSession({ subject: 'alice', kind: 'machine', groups })
    const { registry } = open({ billing: firstMapped(userAccounts({ accounts: [personal('alice')] }), shared()) })
    await using _ = registry
    expect(await registry.delegate('billing', machine, REQUEST).catch(codeOf)).toBe('ERR_DELEGATION_DENIED')
  })

  test('a person with two identities has one account, a stranger with that name none', async () => {
    const there = { issuer: 'https://other.example', subject: 'a1' }
    const password = given('password of alice')
    const own = userAccounts({
      accounts: [personal('alice', password), { ...personal('alice', password), ...there }],
      links: [[{ issuer: IDP, subject: 'alice' }, there]],
    })
    const { registry } = open({ billing: own })
    await using _ = registry
    const principals = [alice, testSession(there)].map(async (session) => {
      return (await registry.delegate('billing', session, REQUEST)).principal
    })
    expect(await Promise.all(principals)).toEqual(['alice_b', 'alice_b'])
    const stranger = testSession({ ...there, subject: 'alice' })
    expect(await registry.delegate('billing', stranger, REQUEST).catch(codeOf)).toBe('ERR_DELEGATION_NO_IDENTITY')
  })
})

test('two people with one name at two backends have a module for each', async () => {
  const at = (target: string, subject: string) =>
    userAccounts({
      accounts: [{ issuer: IDP, subject, target, username: 'jdoe', password: given(`${subject} at ${target}`) }],
    })
  const { registry } = open({ erp: firstMapped(at('billing', 'alice'), at('crm', 'bob')) })
  await using _ = registry
  const ask = async (session: Session, target: string): Promise<string> =>
    registry.delegate('erp', session, { target }).then((lease) => lease.value.password.reveal(), codeOf)
  expect(await ask(alice, 'billing')).toBe('alice at billing')
  expect(await ask(bob, 'crm')).toBe('bob at crm')
  expect(await ask(alice, 'crm')).toBe('ERR_DELEGATION_NO_IDENTITY')
  expect(await ask(bob, 'billing')).toBe('ERR_DELEGATION_NO_IDENTITY')
})

test('levels share nothing, and a change of level counts at once', async () => {
  const { registry, audit } = open({
    billing: serviceAccount({
      accounts: {
        billing: {
          levels: {
            reader: { username: 'billing_ro', password: given('reader-password') },
            administrator: { username: 'billing_admin', password: given('administrator-password') },
          },
        },
      },
      level: (session) => (session.groups.has('admins') ? 'administrator' : 'reader'),
      allow: (session) => session.groups.has('billing'),
    }),
  })
  await using _ = registry
  const passwordOf = async (session: Session): Promise<string> =>
    (await registry.delegate('billing', session, REQUEST)).value.password.reveal()
  const administrator = testSession({ subject: 'alice', groups: new Set(['billing', 'admins']) })
  expect(await passwordOf(administrator)).toBe('administrator-password')
  expect(await passwordOf(alice)).toBe('reader-password')
  expect(await passwordOf(bob)).toBe('reader-password')
  expect(await passwordOf(administrator)).toBe('administrator-password')
  expect(audit.records.map((record) => 'principal' in record && record.principal)).toEqual([
    'billing_admin',
    'billing_ro',
    'billing_ro',
    'billing_admin',
  ])
})

test('a level that the rule reads from elsewhere is asked on every call', async () => {
  const levels = new Map([['alice', 'administrator']])
  const account = (username: string) => ({ username, password: given(`password of ${username}`) })
  const { registry } = open({
    billing: serviceAccount({
      accounts: { billing: { levels: { reader: account('ro'), administrator: account('rw') } } },
      level: ({ subject }) => levels.get(subject),
      allow: () => true,
    }),
  })
  await using _ = registry
  expect((await registry.delegate('billing', alice, REQUEST)).principal).toBe('rw')
  levels.set('alice', 'reader')
  expect((await registry.delegate('billing', alice, REQUEST)).principal).toBe('ro')
  levels.delete('alice')
  expect(await registry.delegate('billing', alice, REQUEST).catch(codeOf)).toBe('ERR_DELEGATION_DENIED')
})

test('an allow rule that changes its mind takes a cached account away', async () => {
  let allowed = true
  const password = given('shared-password')
  const { registry } = open({
    billing: serviceAccount({ accounts: { billing: { username: 'bill', password } }, allow: () => allowed }),
  })
  await using _ = registry
  await registry.delegate('billing', alice, REQUEST)
  allowed = false
  expect(await registry.delegate('billing', alice, REQUEST).catch(codeOf)).toBe('ERR_DELEGATION_DENIED')
})

describe('rotation, without a restart', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'service-account-'))
  })
  afterAll(async () => {
    await rm(directory, { recursive: true })
  })

  async function write(password: string): Promise<string> {
    const [next, file] = [join(directory, 'next'), join(directory, 'password')]
    await writeFile(next, `${password}\n`)
    await chmod(next, 0o400)
    await rename(next, file)
    return file
  }

  for (const kind of ['shared', 'personal'] as const)
    test(`a ${kind} password in a file is read again after a minute, or as soon as the backend refuses it`, async () => {
      const password = { file: await write('first-password') }
      const { registry, clock, audit } = open({
        billing:
          kind === 'shared'
            ? serviceAccount({ accounts: { billing: { username: 'bill', password } }, allow: () => true })
            : userAccounts({ accounts: [{ ...personal('alice'), password }] }),
      })
      await using _ = registry
      const login = async () => registry.delegate('billing', alice, REQUEST)
      expect((await login()).value.password.reveal()).toBe('first-password')

      await write('second-password')
      clock.tick(MINUTE / 2)
      expect((await login()).value.password.reveal()).toBe('first-password')
      clock.tick(MINUTE / 2)
      expect((await login()).value.password.reveal()).toBe('second-password')

      await write('third-password')
      const stale = await login()
      expect(stale.value.password.reveal()).toBe('second-password')
      stale.invalidate()
      expect((await login()).value.password.reveal()).toBe('third-password')
      expect(audit.records.map((record) => 'outcome' in record && record.outcome)).toEqual([
        'issued',
        'reused',
        'issued',
        'reused',
        'issued',
      ])
    })
})

test('the registry checks that every password can be read', async () => {
  const unset = { env: 'MCP_DELEGATION_TEST_UNSET' }
  const { registry } = open({
    good: shared(),
    bad: serviceAccount({ accounts: { billing: { username: 'bill', password: unset } } }),
  })
  await using _ = registry
  const answers = await registry.check()
  expect([answers.good, answers.bad?.code]).toEqual([undefined, 'ERR_DELEGATION_UNAVAILABLE'])
})
