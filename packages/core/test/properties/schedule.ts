import fc from 'fast-check'
import type { DelegationErrorCode } from '../../src/errors.ts'

/** What an issue that waits at the backend comes to. */
export type Settlement =
  | { readonly as: 'issued'; readonly life: number; readonly release: 'ok' | 'rejects' | 'throws' | 'hangs' }
  | { readonly as: 'garbage'; readonly what: 'expired' | 'no value' | 'no expiry' | 'a bad principal' | 'nothing' }
  | { readonly as: 'failed'; readonly code: DelegationErrorCode }
  | { readonly as: 'bare error' }

/**
 * One step of a schedule, as plain data: numbers choose among what there is at that time, and odd numbers mean
 * what came last.
 */
export type Action =
  | {
      readonly do: 'session'
      readonly user: number
      readonly rights: number
      readonly sid: number
      readonly life: number
      readonly kind: 'user' | 'machine'
    }
  | { readonly do: 'delegate'; readonly session: number; readonly module: number; readonly request: number }
  /** The same once more, with the newest token of the same user and rights. */
  | { readonly do: 'again'; readonly call: number }
  | { readonly do: 'burst'; readonly session: number; readonly module: number; readonly count: number }
  | { readonly do: 'abort'; readonly call: number }
  | { readonly do: 'settle'; readonly issue: number; readonly how: Settlement }
  | { readonly do: 'settle all' }
  /** Whether modules throw before they return a promise. */
  | { readonly do: 'throw'; readonly at: 'once' | 'never' }
  | { readonly do: 'dispose'; readonly lease: number }
  | { readonly do: 'dispose all' }
  | { readonly do: 'invalidate'; readonly lease: number }
  /** Time passes. */
  | { readonly do: 'advance'; readonly ms: number }
  /** Time passes until a credential nears its end. */
  | { readonly do: 'ripen'; readonly issued: number; readonly part: number }
  /** Somebody sets the clock. */
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'block'; readonly user: number; readonly ms: number | undefined }
  | { readonly do: 'unblock'; readonly user: number }
  | { readonly do: 'end'; readonly session: number; readonly by: 'session' | 'sid' | 'id' }
  | { readonly do: 'forbid'; readonly user: number; readonly allowed: boolean }
  | { readonly do: 'sink'; readonly mode: 'accepts' | 'accepts later' | 'throws' | 'rejects' | 'holds' }
  | { readonly do: 'let go'; readonly accepted: boolean }
  | { readonly do: 'close' }

/** How the registry of a schedule is set up; times in milliseconds. */
export interface Setup {
  readonly max: number
  readonly maxPerUser: number
  readonly maxAge: number
  readonly maxConcurrent: number
}

const CODES: readonly DelegationErrorCode[] = [
  'ERR_DELEGATION_NO_IDENTITY',
  'ERR_DELEGATION_NO_IDENTITY',
  'ERR_DELEGATION_DENIED',
  'ERR_DELEGATION_UNAVAILABLE',
  'ERR_DELEGATION_PROTOCOL',
  'ERR_DELEGATION_INVALID_REQUEST',
  'ERR_INTERACTION_REQUIRED',
  'ERR_RATE_LIMITED',
]

const some = fc.nat(997)
const life = fc.constantFrom(5_000, 40_000, 600_000, 7_200_000)

const settlement: fc.Arbitrary<Settlement> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      as: fc.constant('issued' as const),
      life,
      release: fc.constantFrom('ok', 'ok', 'rejects', 'throws', 'hangs'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ as: fc.constant('failed' as const), code: fc.constantFrom(...CODES) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      as: fc.constant('garbage' as const),
      what: fc.constantFrom('expired', 'no value', 'no expiry', 'a bad principal', 'nothing'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ as: 'bare error' as const }) },
) as fc.Arbitrary<Settlement>

/** An action with what it needs, and how often it comes. */
function step(weight: number, name: Action['do'], needs: Readonly<Record<string, fc.Arbitrary<unknown>>> = {}) {
  return { weight, arbitrary: fc.record({ do: fc.constant(name), ...needs }) as unknown as fc.Arbitrary<Action> }
}

const action: fc.Arbitrary<Action> = fc.oneof(
  step(20, 'session', {
    user: some,
    rights: fc.constantFrom(0, 0, 0, 1),
    sid: fc.constantFrom(0, 0, 1, 2),
    life,
    kind: fc.constantFrom('user', 'user', 'user', 'user', 'user', 'user', 'user', 'machine'),
  }),
  step(60, 'again', { call: some }),
  step(90, 'delegate', { session: some, module: some, request: fc.nat(1) }),
  step(4, 'burst', { session: some, module: some, count: fc.nat(30) }),
  step(20, 'abort', { call: some }),
  step(70, 'settle', { issue: some, how: settlement }),
  step(20, 'settle all'),
  step(4, 'throw', { at: fc.constantFrom('once', 'never') }),
  step(30, 'dispose', { lease: some }),
  step(5, 'dispose all'),
  step(15, 'invalidate', { lease: some }),
  step(40, 'advance', { ms: fc.constantFrom(1, 900, 5_000, 10_001, 30_000, 70_000, 400_000) }),
  step(25, 'ripen', { issued: some, part: fc.constantFrom(0.76, 0.9, 0.999, 1) }),
  step(15, 'jump', { ms: fc.constantFrom(-600_000, -35_000, -1, 1, 35_000, 600_000, 3_600_000) }),
  step(15, 'block', { user: some, ms: fc.constantFrom(undefined, 0, 20_000, 300_000) }),
  step(15, 'unblock', { user: some }),
  step(15, 'end', { session: some, by: fc.constantFrom('session', 'sid', 'id') }),
  step(5, 'forbid', { user: some, allowed: fc.boolean() }),
  step(15, 'sink', {
    mode: fc.constantFrom('accepts', 'accepts', 'accepts later', 'accepts later', 'throws', 'rejects', 'holds'),
  }),
  step(15, 'let go', { accepted: fc.boolean() }),
  step(1, 'close'),
)

/** Random schedules of up to `maxLength` actions. */
export function schedules(maxLength: number): fc.Arbitrary<readonly Action[]> {
  return fc.array(action, { maxLength, size: 'max' })
}

/** Small caches, in which things are evicted, and roomy ones, in which what was issued has to be found again. */
export const setups: fc.Arbitrary<Setup> = fc.record({
  max: fc.constantFrom(1, 2, 5, 10_000, 10_000, 10_000),
  maxPerUser: fc.constantFrom(1, 2, 100, 100, 100, 100),
  maxAge: fc.constantFrom(15_000, 3_600_000),
  maxConcurrent: fc.constantFrom(1, 2, 8),
})
