import {
  type DelegationModule,
  firstMapped,
  type InputOf,
  type PasswordCredential,
  type ValueOf,
} from '@mcp-delegation/core'
import { expectTypeOf, test } from 'vitest'
import {
  accountsFromEnvironment,
  serviceAccount,
  type TargetRequest,
  type UserAccount,
  userAccounts,
} from '../src/index.ts'

const password = { env: 'PASSWORD' }

test('both are modules that take a target and give a password', () => {
  const chain = firstMapped(userAccounts({ accounts: [] }), serviceAccount({ accounts: {} }))
  expectTypeOf(serviceAccount).returns.toEqualTypeOf<DelegationModule<TargetRequest, PasswordCredential>>()
  expectTypeOf(userAccounts).returns.toEqualTypeOf<DelegationModule<TargetRequest, PasswordCredential>>()
  expectTypeOf<ValueOf<typeof chain>>().toEqualTypeOf<PasswordCredential>()
  expectTypeOf<InputOf<typeof chain>>().toEqualTypeOf<TargetRequest>()
})

test('a target has an account or levels', () => {
  serviceAccount({
    accounts: { a: { username: 'x', password }, b: { levels: { reader: { username: 'y', password } } } },
  })
  // @ts-expect-error no password
  void (() => serviceAccount({ accounts: { a: { username: 'x' } } }))
  // @ts-expect-error a password is never written here
  void (() => serviceAccount({ accounts: { a: { username: 'x', password: 'hunter2' } } }))
  // @ts-expect-error levels hold accounts
  void (() => serviceAccount({ accounts: { a: { levels: { reader: 'x' } } } }))
})

test('rules are synchronous', () => {
  // @ts-expect-error a promise
  void (() => serviceAccount({ accounts: {}, allow: async () => true }))
  // @ts-expect-error a promise
  void (() => serviceAccount({ accounts: {}, level: async () => 'reader' }))
})

test('an entry names user, target and account', () => {
  expectTypeOf(accountsFromEnvironment).returns.toEqualTypeOf<readonly UserAccount[]>()
  userAccounts({ accounts: [{ issuer: 'a', subject: 'b', target: 'c', username: 'd', password }] })
  // @ts-expect-error no issuer: a subject alone is nobody
  void (() => userAccounts({ accounts: [{ subject: 'b', target: 'c', username: 'd', password }] }))
})
