import { canonicalJson } from '../canonical-json.ts'
import { DelegationError, type DelegationErrorCode } from '../errors.ts'
import type { DelegationModule } from '../module.ts'
import type { Session } from '../session.ts'

/** What {@link fakeModule} takes besides its value. */
export interface FakeModuleOptions {
  /** Every issue rejects with this code instead. Default: none. */
  readonly fails?: DelegationErrorCode | undefined
}

const HOUR = 3_600_000

/**
 * A module for tests of tools: it issues `value`, or what the function makes of the session, for one hour. It takes any
 * JSON for a request and maps everybody to the subject, so two issuers with the same subject conflict.
 */
export function fakeModule<Value>(
  value: Value | ((session: Session) => Value),
  options: FakeModuleOptions = {},
): DelegationModule<unknown, Value> {
  const { fails } = options
  const valueFor = typeof value === 'function' ? (value as (session: Session) => Value) : () => value
  return {
    type: 'fake',
    reuse: 'user',
    request: { '~standard': { version: 1, vendor: 'mcp-delegation', validate } },
    target: () => 'fake',
    principal: (session) => session.subject,
    async issue(_request, { session, signal, clock }) {
      signal.throwIfAborted()
      if (fails !== undefined) throw new DelegationError(fails, 'the fake module fails as it was told to')
      return { value: valueFor(session), expiresAt: new Date(clock.now() + HOUR) }
    },
  }
}

function validate(value: unknown): { readonly value: unknown } | { readonly issues: readonly { message: string }[] } {
  try {
    canonicalJson(value)
    return { value }
  } catch {
    return { issues: [{ message: 'must be plain JSON' }] }
  }
}
