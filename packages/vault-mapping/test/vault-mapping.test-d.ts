import {
  type BearerCredential,
  DelegationRegistry,
  firstMapped,
  type PasswordCredential,
  type Session,
  type SshCertificateCredential,
} from '@mcp-delegation/core'
import { fakeModule, memoryAudit } from '@mcp-delegation/core/testing'
import { database, jwtLogin, kv2, ssh, vaultMapping } from '@mcp-delegation/vault'
import { expectTypeOf, test } from 'vitest'

declare const session: Session
const common = {
  address: 'https://vault.example.com:8200',
  login: jwtLogin({ role: 'mcp' }),
  principal: { issuers: [{ issuer: 'https://idp.example.com', claim: 'sub' }] },
}
const one = vaultMapping({ ...common, targets: { billing: database({ role: '{principal}' }) } })
const many = vaultMapping({
  ...common,
  targets: {
    vcenter: kv2({ path: 'users/{principal}/vcenter' }),
    git: kv2({ path: 'users/{principal}/git', kind: 'bearer', fields: { token: 'pat' } }),
    hosts: ssh({ role: 'users', principals: ['{principal}'] }),
  },
})
const registry = new DelegationRegistry({
  modules: { one, many, any: firstMapped(one, fakeModule({ kind: 'shared' } as const)) },
  audit: memoryAudit(),
  policy: 'backend-decides',
})

test('the values are those of the sources', async () => {
  const password = await registry.delegate('one', session, { target: 'billing' })
  expectTypeOf(password.value).toEqualTypeOf<PasswordCredential>()
  const several = await registry.delegate('many', session, { target: 'git' })
  expectTypeOf(several.value).toEqualTypeOf<PasswordCredential | BearerCredential | SshCertificateCredential>()
  const chained = await registry.delegate('any', session, { target: 'billing' })
  expectTypeOf(chained.value).toEqualTypeOf<PasswordCredential | { readonly kind: 'shared' }>()
})

test('a target that is not one of the options does not compile', () => {
  // @ts-expect-error: there is no such target
  void registry.delegate('one', session, { target: 'biling' })
  // @ts-expect-error: a target is needed
  void registry.delegate('many', session, {})
})

test('options that are missing or unknown do not compile', () => {
  // @ts-expect-error: no login
  vaultMapping({ address: common.address, principal: common.principal, targets: {} })
  // @ts-expect-error: misspelled
  vaultMapping({ ...common, targets: {}, tiemout: 1 })
  // @ts-expect-error: no such kind
  kv2({ path: 'users/{principal}', kind: 'pasword' })
})
