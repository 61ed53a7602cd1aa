import { expectTypeOf, test } from 'vitest'
import type {
  BearerCredential,
  DelegationModule,
  InputOf,
  ModuleChain,
  PasswordCredential,
  ValueOf,
} from '../src/index.ts'
import { firstMapped } from '../src/index.ts'

interface Ticket {
  readonly kind: 'kerberos'
  negotiate(): string
}
declare const kerberos: DelegationModule<{ readonly targetService: string }, Ticket>
declare const vault: DelegationModule<{ readonly target: string }, PasswordCredential>
declare const shared: DelegationModule<{ readonly target: string }, PasswordCredential>
declare const repository: DelegationModule<
  { readonly name: string; readonly ttl: number },
  BearerCredential,
  { readonly name: string; readonly ttl?: number | undefined }
>

test('the value and the input of a module are its own', () => {
  expectTypeOf<ValueOf<typeof kerberos>>().toEqualTypeOf<Ticket>()
  expectTypeOf<InputOf<typeof kerberos>>().toEqualTypeOf<{ readonly targetService: string }>()
})

test('the input is what the schema takes, not what it gives', () => {
  expectTypeOf<InputOf<typeof repository>>().toEqualTypeOf<{
    readonly name: string
    readonly ttl?: number | undefined
  }>()
  const withDefault: InputOf<typeof repository> = { name: 'a' }
  // @ts-expect-error a number
  const withText: InputOf<typeof repository> = { name: 'a', ttl: '3' }
  void [withDefault, withText]
})

test('the value of a list is the union, the input the intersection', () => {
  const same = firstMapped(vault, shared)
  expectTypeOf<ValueOf<typeof same>>().toEqualTypeOf<PasswordCredential>()
  expectTypeOf<InputOf<typeof same>>().toEqualTypeOf<{ readonly target: string }>()

  const mixed = firstMapped(kerberos, shared, repository)
  expectTypeOf<ValueOf<typeof mixed>>().toEqualTypeOf<Ticket | PasswordCredential | BearerCredential>()
  const input: InputOf<typeof mixed> = { targetService: 'HTTP/a', target: 'a', name: 'r' }
  // @ts-expect-error lacks target
  const lacking: InputOf<typeof mixed> = { targetService: 'HTTP/a', name: 'r' }
  void [input, lacking]
})

test('the value of a list is told apart by its kind', () => {
  const mixed = firstMapped(kerberos, shared)
  const value = {} as ValueOf<typeof mixed>
  // @ts-expect-error only where the kind is known
  void value.username
  if (value.kind === 'kerberos') expectTypeOf(value).toEqualTypeOf<Ticket>()
  else expectTypeOf(value).toEqualTypeOf<PasswordCredential>()
})

test('a value is never any', () => {
  const mixed = firstMapped(kerberos, shared)
  expectTypeOf<ValueOf<typeof mixed>>().not.toBeAny()
  expectTypeOf<InputOf<typeof mixed>>().not.toBeAny()
  // @ts-expect-error not any
  const number: number = {} as ValueOf<typeof mixed>
  void number
})

test('a list keeps the types of its members, and their order', () => {
  expectTypeOf(firstMapped(kerberos, shared)).toEqualTypeOf<ModuleChain<readonly [typeof kerberos, typeof shared]>>()
})

test('a list of fewer than two, of lists, or of something else does not compile', () => {
  // @ts-expect-error none
  firstMapped()
  // @ts-expect-error one
  firstMapped(vault)
  // @ts-expect-error a list in the list
  firstMapped(vault, firstMapped(vault, shared))
  // @ts-expect-error no module
  firstMapped(vault, { type: 'x' })
})
