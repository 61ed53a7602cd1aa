import { DelegationRegistry, type ModuleMap, type RegistryOptions } from '@mcp-delegation/core'
import { type FakeClock, fakeClock, memoryAudit } from '@mcp-delegation/core/testing'
import type { DelegationModule, IssueContext, IssuedCredential, ReleaseReason } from '../src/module.ts'

export interface TargetRequest {
  readonly target: string
}

export interface Issued {
  readonly value: { readonly user: string; readonly serial: number }
  readonly releases: ReleaseReason[]
}

export interface TestModule extends DelegationModule<TargetRequest, Issued['value']> {
  /** Every credential that was issued, in order. */
  readonly issued: Issued[]
  /** Every context that `issue` was called with, in order. */
  readonly contexts: IssueContext[]
}

type Members = Partial<DelegationModule<TargetRequest, Issued['value']>>

export interface TestModuleOptions extends Members {
  readonly clock?: { now(): number } | undefined
  /** How long a credential is valid, in milliseconds. */
  readonly lifetime?: number | undefined
  /** Runs before each issue: wait or throw. */
  readonly before?: ((context: IssueContext) => Promise<void> | void) | undefined
}

/** A module that counts what it issues and how it is released. */
export function testModule(options: TestModuleOptions = {}): TestModule {
  const { clock = { now: () => Date.now() }, lifetime = 600_000, before, ...members } = options
  const issued: Issued[] = []
  const contexts: IssueContext[] = []
  return {
    type: 'test',
    reuse: 'user',
    request: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          const { target } = (value ?? {}) as { readonly target?: unknown }
          if (typeof target !== 'string') return { issues: [{ message: 'must be a string', path: ['target'] }] }
          return { value: { target } }
        },
      },
    },
    target: ({ target }) => target,
    principal: (session) => session.subject,
    async issue(_request, context): Promise<IssuedCredential<Issued['value']>> {
      contexts.push(context)
      await before?.(context)
      const releases: ReleaseReason[] = []
      const value = { user: context.session.subject, serial: issued.length }
      issued.push({ value, releases })
      return {
        value,
        expiresAt: new Date(clock.now() + lifetime),
        release: async (reason) => {
          releases.push(reason)
        },
      }
    },
    ...members,
    issued,
    contexts,
  }
}

/** A registry on a fake clock, with what it wrote to audit. */
export function testRegistry<const M extends ModuleMap>(
  modules: M,
  options: Partial<RegistryOptions<M>> = {},
): {
  readonly registry: DelegationRegistry<M>
  readonly audit: ReturnType<typeof memoryAudit>
  readonly clock: FakeClock
} {
  const audit = memoryAudit()
  const clock = (options.clock as FakeClock | undefined) ?? fakeClock()
  return {
    registry: new DelegationRegistry<M>({ policy: 'backend-decides', audit, ...options, modules, clock }),
    audit,
    clock,
  }
}

/** A promise with its handles outside. */
export function deferred<T = void>(): {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: unknown) => void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  return { promise, resolve, reject }
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
