import { expectTypeOf, test } from 'vitest'
import type {
  AuditRecord,
  BearerCredential,
  Credential,
  Decision,
  DelegationError,
  DelegationErrorCode,
  DelegationModule,
  PasswordCredential,
  RegistryOptions,
  Session,
} from '../src/index.ts'
import { type Delegate, DelegationRegistry, firstMapped } from '../src/index.ts'

interface Ticket {
  readonly kind: 'kerberos'
  negotiate(): Promise<string>
}
declare const kerberos: DelegationModule<{ readonly targetService: string }, Ticket>
declare const shared: DelegationModule<{ readonly target: string }, PasswordCredential>
declare const repository: DelegationModule<
  { readonly name: string; readonly ttl: number },
  BearerCredential,
  { readonly name: string; readonly ttl?: number | undefined }
>
declare const session: Session

const registry = new DelegationRegistry({
  policy: 'backend-decides',
  audit: () => {},
  modules: { intranet: kerberos, repo: repository, billing: firstMapped(kerberos, shared) },
})

test('a name gives the request and the value of its module', async () => {
  const ticket = await registry.delegate('intranet', session, { targetService: 'HTTP/a' })
  expectTypeOf(ticket).toEqualTypeOf<Credential<Ticket>>()
  expectTypeOf(ticket.value).not.toBeAny()
  // @ts-expect-error a ticket has no password
  void ticket.value.password
  const login = await registry.delegate('billing', session, { targetService: 'HTTP/a', target: 'billing' })
  expectTypeOf(login.value).toEqualTypeOf<Ticket | PasswordCredential>()
  // @ts-expect-error only one of the two has it
  void login.value.username
})

test('what has a default may be left out', () => {
  void registry.delegate('repo', session, { name: 'a' })
  void registry.delegate('repo', session, { name: 'a', ttl: 3 })
})

test('what is wrong in a call does not compile', () => {
  // @ts-expect-error unknown name
  void registry.delegate('nope', session, {})
  // @ts-expect-error a name that objects inherit
  void registry.delegate('toString', session, {})
  // @ts-expect-error the request of another module
  void registry.delegate('intranet', session, { name: 'a' })
  // @ts-expect-error lacks a part of the intersection
  void registry.delegate('billing', session, { target: 'billing' })
  // @ts-expect-error a request is required
  void registry.delegate('intranet', session)
  // @ts-expect-error not a session
  void registry.delegate('intranet', { issuer: 'a', subject: 'b' }, { targetService: 'HTTP/a' })
  // @ts-expect-error a token is not a session
  void registry.delegate('intranet', 'eyJhbGciOi', { targetService: 'HTTP/a' })
  // @ts-expect-error no such option
  void registry.delegate('intranet', session, { targetService: 'HTTP/a' }, { principal: 'administrator' })
})

test('duplicate names do not compile', () => {
  void {
    modules: {
      // biome-ignore lint/suspicious/noDuplicateObjectKeys: what the compiler must refuse
      a: kerberos,
      // @ts-expect-error twice the same name
      a: shared,
    },
  }
})

test('policy and audit are required, and the modules are modules', () => {
  const modules = { intranet: kerberos }
  // @ts-expect-error no policy
  void (() => new DelegationRegistry({ modules, audit: () => {} }))
  // @ts-expect-error no audit
  void (() => new DelegationRegistry({ modules, policy: 'backend-decides' }))
  // @ts-expect-error not a policy
  void (() => new DelegationRegistry({ modules, policy: 'allow-all', audit: () => {} }))
  const policy = 'backend-decides'
  const part = { issue: kerberos.issue }
  // @ts-expect-error not a module
  void (() => new DelegationRegistry({ modules: { a: part }, policy, audit: () => {} }))
  expectTypeOf<RegistryOptions<{ a: typeof kerberos }>['policy']>().not.toBeAny()
})

test('a tool in its own file asks only for the modules that it needs', () => {
  async function tool(delegate: Delegate<{ intranet: typeof kerberos }>): Promise<string> {
    const ticket = await delegate('intranet', session, { targetService: 'HTTP/a' })
    return ticket.value.negotiate()
  }
  void tool(registry.delegate)
  async function other(delegate: Delegate<{ intranet: typeof shared }>): Promise<void> {
    await delegate('intranet', session, { target: 'a' })
  }
  // @ts-expect-error another module has this name
  void other(registry.delegate)
})

test('names go through to stats and checks', async () => {
  expectTypeOf(registry.stats()).toHaveProperty('intranet')
  expectTypeOf(await registry.check()).toEqualTypeOf<
    Readonly<Record<'intranet' | 'repo' | 'billing', DelegationError | undefined>>
  >()
  // @ts-expect-error no such name
  void registry.stats().nope
})

test('a credential is read-only', async () => {
  const ticket = await registry.delegate('intranet', session, { targetService: 'HTTP/a' })
  // @ts-expect-error read-only
  ticket.principal = 'administrator'
  // @ts-expect-error read-only
  ticket.expiresAt = new Date()
})

test('unions are told apart, and closed', () => {
  const record = {} as AuditRecord
  if (record.event === 'tool') expectTypeOf(record.groups).toEqualTypeOf<readonly string[]>()
  // @ts-expect-error only tool records have it
  void record.groups
  const decision = {} as Decision
  // @ts-expect-error only a refusal has a reason
  void decision.reason
  // @ts-expect-error no such code
  const code: DelegationErrorCode = 'ERR_OTHER'
  void code
})
