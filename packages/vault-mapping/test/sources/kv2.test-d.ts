import type {
  BearerCredential,
  CertificateCredential,
  PasswordCredential,
  SshCertificateCredential,
} from '@mcp-delegation/core'
import { expectTypeOf, test } from 'vitest'
import { kv1 } from '../../src/sources/kv1.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import type { Source } from '../../src/sources/source.ts'

const path = '{principal}'

test('the kind of a secret decides the type of the credential', () => {
  expectTypeOf(kv2({ path })).toEqualTypeOf<Source<PasswordCredential>>()
  expectTypeOf(kv2({ path, kind: 'password' })).toEqualTypeOf<Source<PasswordCredential>>()
  expectTypeOf(kv2({ path, kind: 'bearer' })).toEqualTypeOf<Source<BearerCredential>>()
  expectTypeOf(kv2({ path, kind: 'certificate' })).toEqualTypeOf<Source<CertificateCredential>>()
  expectTypeOf(kv1({ path, kind: 'ssh-certificate' })).toEqualTypeOf<Source<SshCertificateCredential>>()
  expectTypeOf(kv2({ path, kind: Math.random() > 0.5 ? 'bearer' : 'password' })).toEqualTypeOf<
    Source<PasswordCredential | BearerCredential>
  >()
})

test('fields are those of the kind', () => {
  kv2({ path, kind: 'bearer', fields: { token: 'pat' } })
  kv2({ path, fields: { username: 'login' } })
  kv2({ path, username: '{principal}' })
  // @ts-expect-error: a token is no member of a password
  kv2({ path, fields: { token: 'pat' } })
  // @ts-expect-error: a bearer token has no password
  kv2({ path, kind: 'bearer', fields: { password: 'x' } })
  // @ts-expect-error: a bearer token has no user name
  kv2({ path, kind: 'bearer', username: '{principal}' })
  // @ts-expect-error: there is no such kind
  kv2({ path, kind: 'kerberos' })
  // @ts-expect-error: no secret is everybody's
  kv2({})
})
