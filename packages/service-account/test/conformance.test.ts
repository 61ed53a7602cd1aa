import { moduleConformance, testSession } from '@mcp-delegation/core/testing'
import { describe, test } from 'vitest'
import { serviceAccount, userAccounts } from '../src/index.ts'
import { type AccountModule, given, IDP } from './support.ts'

const request = { target: 'billing' }
const [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map((subject) => {
  const groups = new Set(subject === 'mallory' ? [] : ['staff'])
  return { session: testSession({ subject, groups }), request }
})
if (alice === undefined || bob === undefined || mallory === undefined) throw new Error('incomplete')

const secretsOf: (value: Awaited<ReturnType<AccountModule['issue']>>['value']) => string[] = ({ password }) => [
  password.reveal(),
]
const failing = () => Promise.reject(new Error('the vault is sealed'))

describe('serviceAccount', () => {
  const create = (password = given('shared-password')): AccountModule =>
    serviceAccount({
      accounts: {
        billing: { username: 'bill', password },
        crm: { levels: { reader: { username: 'crm_ro', password: given('reader-password') } } },
      },
      allow: ({ groups }) => groups.has('staff'),
      level: () => undefined,
    })
  const checks = moduleConformance({
    create,
    granted: [alice, bob],
    unmapped: mallory,
    shared: true,
    secretsOf,
    whoami: async ({ username }) => username,
    faults: [
      { when: 'the target is not listed', ...alice, request: { target: 'erp' }, code: 'ERR_DELEGATION_DENIED' },
      { when: 'the level is unknown', ...alice, request: { target: 'crm' }, code: 'ERR_DELEGATION_DENIED' },
      {
        when: 'the password cannot be read',
        ...alice,
        create: () => create(failing),
        code: 'ERR_DELEGATION_UNAVAILABLE',
      },
    ],
  })
  for (const { name, run } of checks) test(name, run)
})

describe('userAccounts', () => {
  const create = (passwordOf = (subject: string) => given(`password of ${subject}`)): AccountModule =>
    userAccounts({
      accounts: ['alice', 'bob'].map((subject) => ({
        issuer: IDP,
        subject,
        target: 'billing',
        username: `${subject}_b`,
        password: passwordOf(subject),
      })),
    })
  const checks = moduleConformance({
    create,
    granted: [alice, bob],
    unmapped: mallory,
    secretsOf,
    whoami: async ({ username }) => username,
    faults: [
      {
        when: 'the caller is a machine',
        session: testSession({ kind: 'machine' }),
        request,
        code: 'ERR_DELEGATION_DENIED',
      },
      {
        when: 'the password cannot be read',
        ...alice,
        create: () => create((subject) => (subject === 'alice' ? failing : given('password of bob'))),
        code: 'ERR_DELEGATION_UNAVAILABLE',
      },
    ],
  })
  for (const { name, run } of checks) test(name, run)
})
