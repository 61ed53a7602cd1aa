import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { canonicalJson } from '../../canonical-json.ts'
import { systemClock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import type { DelegationModule, IssuedCredential, ReleaseReason } from '../../module.ts'
import { isCleanText } from '../../text.ts'
import type { Case, ConformanceCheck, Fixture } from './fixture.ts'
import { printed } from './leaks.ts'

/** What became of something within the fixture's patience. */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'pending' }

/** How far a caller came: not past the schema, not past the mapping, or to the end of an issue. */
export type Attempt =
  | { readonly kind: 'invalid' }
  | { readonly kind: 'unmapped' }
  | { readonly kind: 'pending'; readonly principal: string }
  | { readonly kind: 'failed'; readonly error: unknown; readonly principal: string | undefined }
  | { readonly kind: 'done'; readonly issued: IssuedCredential<unknown>; readonly principal: string }

/** One module on the bench, with the clean-up of what it issues. */
export interface Bench {
  readonly fixture: Fixture
  readonly module: DelegationModule<unknown, unknown>
  /** Whatever the module logged, as text. */
  readonly logs: string[]
  readonly log: Logger
  /** Everything that must stay secret, as far as it is known. */
  readonly secrets: ReadonlySet<string>
  /** What the schema makes of a request; undefined where it is refused. */
  validate(request: unknown): { readonly request: unknown } | undefined
  /** Takes a caller as far as the registry would. */
  attempt(caller: Case, signal?: AbortSignal): Promise<Attempt>
  /** The same for a caller who is granted; anything but a credential fails the check. */
  issue(caller: Case): Promise<IssuedCredential<unknown>>
  /** Whom the module maps a granted caller to. */
  principalOf(caller: Case): string
  secretsIn(value: unknown): Promise<readonly string[]>
  release(issued: IssuedCredential<unknown>, reason?: ReleaseReason): Promise<Outcome<void>>
  /** Disposes of the module, the first time that it is asked to. */
  dispose(): Promise<Outcome<void>>
  outstanding(): Promise<number>
  /** Waits until the backend holds no more than `count` things, or fails with `message`. */
  backTo(count: number, message: string): Promise<void>
}

/** A check that runs on a module of its own, made by `create` or as the fixture says. */
export function check(
  name: string,
  fixture: Fixture,
  work: (bench: Bench) => Promise<void>,
  create?: Fixture['create'],
): ConformanceCheck {
  return { name, run: () => onBench(fixture, work, create) }
}

/** Runs `work` on a module of its own, and cleans up after it. */
export async function onBench(
  fixture: Fixture,
  work: (bench: Bench) => Promise<void>,
  create: Fixture['create'] = fixture.create,
): Promise<void> {
  const { bench, held } = openBench(fixture, create())
  try {
    await work(bench)
  } finally {
    await Promise.all([...held].map(async (issued) => bench.release(issued, 'disposed')))
    await bench.dispose()
  }
}

/** How long the fixture's module may take, in milliseconds. */
export function patienceOf(fixture: Fixture): number {
  return fixture.patience ?? 1_000
}

/** Waits for `work` no longer than `ms`. */
export async function within<T>(ms: number, work: () => Promise<T> | T): Promise<Outcome<T>> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Outcome<T>>((resolve) => {
    timer = setTimeout(resolve, ms, { kind: 'pending' })
  })
  const settled = (async (): Promise<Outcome<T>> => {
    try {
      return { kind: 'done', value: await work() }
    } catch (error) {
      return { kind: 'failed', error }
    }
  })()
  try {
    return await Promise.race([settled, late])
  } finally {
    clearTimeout(timer)
  }
}

function openBench(fixture: Fixture, module: DelegationModule<unknown, unknown>) {
  const patience = patienceOf(fixture)
  const logs: string[] = []
  const note = (fields: object, message: string): void => {
    logs.push(`${message} ${printed(fields)}`)
  }
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const held = new Set<IssuedCredential<unknown>>()
  const secrets = new Set(fixture.secrets ?? [])
  for (const { session } of [...fixture.granted, fixture.unmapped]) secrets.add(session.token?.reveal() ?? '')
  secrets.delete('')
  let disposed: Promise<Outcome<void>> | undefined

  const bench: Bench = {
    fixture,
    module,
    logs,
    log,
    secrets,
    validate(request) {
      const result: unknown = module.request['~standard'].validate(request)
      assert.ok(typeof result === 'object' && result !== null, 'validate must return { value } or { issues }')
      assert.ok(!('then' in result), 'validate must answer synchronously, without a promise')
      if ('issues' in result && result.issues !== undefined) return undefined
      assert.ok('value' in result, 'validate must return { value } or { issues }')
      return { request: result.value }
    },
    async attempt({ session, request: input }, signal = new AbortController().signal) {
      const validated = bench.validate(input)
      // The registry refuses what is not plain JSON before it comes to the module, and texts that are not clean.
      if (validated === undefined || !isPlainJson(validated.request)) return { kind: 'invalid' }
      const { request } = validated
      let target: unknown
      let principal: unknown
      try {
        target = module.target(request)
        principal = module.principal(session, request)
      } catch (error) {
        return { kind: 'failed', error, principal: undefined }
      }
      assertText(target, 'target')
      if (principal === undefined) return { kind: 'unmapped' }
      assertText(principal, 'principal')
      if (!isCleanText(target, 1024) || !isCleanText(principal, 255)) return { kind: 'invalid' }
      const context = { session, principal, signal, clock: systemClock, log }
      const issuing = (async () => module.issue(request, context))()
      issuing.then(
        (issued) => held.add(issued),
        () => {},
      )
      const outcome = await within(patience, () => issuing)
      if (outcome.kind !== 'done') return { ...outcome, principal }
      assertIssued(outcome.value)
      for (const text of await bench.secretsIn(outcome.value.value)) secrets.add(text)
      return { kind: 'done', issued: outcome.value, principal }
    },
    async issue(caller) {
      const attempt = await bench.attempt(caller)
      if (attempt.kind === 'failed') throw new Error('a granted request must be served', { cause: attempt.error })
      assert.ok(attempt.kind !== 'invalid', 'a granted request must be valid')
      assert.ok(attempt.kind !== 'unmapped', 'a granted user must have a principal')
      assert.ok(attempt.kind === 'done', `a granted request must be served within ${patience} ms`)
      return attempt.issued
    },
    principalOf({ session, request }) {
      const validated = bench.validate(request)
      assert.ok(validated !== undefined, 'a granted request must be valid')
      const principal = module.principal(session, validated.request)
      assertText(principal, 'principal')
      return principal
    },
    async secretsIn(value) {
      const texts = await fixture.secretsOf(value)
      for (const text of texts)
        assert.ok(text.length >= 8, 'secrets of fewer than 8 characters are found anywhere: make them longer')
      return texts
    },
    async release(issued, reason = 'evicted') {
      held.delete(issued)
      return await within(patience, async () => issued?.release?.(reason, { signal: new AbortController().signal }))
    },
    dispose() {
      disposed ??= within(patience, async () => module.dispose?.())
      return disposed
    },
    async outstanding() {
      return (await fixture.outstanding?.()) ?? 0
    },
    async backTo(count, message) {
      const deadline = performance.now() + patience
      while ((await bench.outstanding()) > count) {
        if (performance.now() > deadline) assert.fail(message)
        await delay(5)
      }
    },
  }
  return { bench, held }
}

function assertText(text: unknown, where: string): asserts text is string {
  assert.equal(typeof text, 'string', `${where} must answer with text, synchronously`)
}

function assertIssued(issued: unknown): asserts issued is IssuedCredential<unknown> {
  assert.ok(typeof issued === 'object' && issued !== null && 'value' in issued, 'issue must resolve with { value, … }')
}

function isPlainJson(value: unknown): boolean {
  try {
    canonicalJson(value)
    return true
  } catch {
    return false
  }
}
