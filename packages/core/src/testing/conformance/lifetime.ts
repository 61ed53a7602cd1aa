import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../clock.ts'
import type { ReleaseReason } from '../../module.ts'
import { check, type Outcome, onBench, patienceOf } from './bench.ts'
import type { ConformanceCheck, Fixture } from './fixture.ts'
import { watch } from './watch.ts'

const REASONS: readonly ReleaseReason[] = ['evicted', 'replaced', 'revoked', 'invalidated', 'disposed', 'aborted']
/** When to abort an issue, in milliseconds after its start: a real backend is met at different steps. */
const ABORT_AFTER: readonly number[] = [0, 1, 3, 10, 30, 100]

/** From the issue to the end: expiry, aborts, release, disposal. */
export function lifetimeChecks(fixture: Fixture): readonly ConformanceCheck[] {
  const { granted } = fixture
  const [one, other] = granted
  return [
    check('issues credentials that expire in the future', fixture, async (bench) => {
      for (const caller of granted) {
        const { expiresAt } = await bench.issue(caller)
        assert.ok(expiresAt instanceof Date && !Number.isNaN(expiresAt.getTime()), 'expiresAt must be a valid Date')
        assert.ok(expiresAt.getTime() > systemClock.now(), 'expiresAt must be in the future')
      }
    }),

    check('issues nothing for a signal that is already aborted', fixture, async (bench) => {
      const before = await bench.outstanding()
      const attempt = await bench.attempt(one, AbortSignal.abort(new Error('aborted before the start')))
      assert.equal(attempt.kind, 'failed', 'issue must reject at once: call signal.throwIfAborted() first')
      await bench.backTo(before, 'an aborted issue must leave nothing at the backend')
    }),

    check('stops soon after an abort, and leaves nothing behind', fixture, async (bench) => {
      for (const ms of ABORT_AFTER) {
        const before = await bench.outstanding()
        const controller = new AbortController()
        const attempting = bench.attempt(one, controller.signal)
        const timer = setTimeout(() => controller.abort(new Error('aborted in flight')), ms)
        const attempt = await attempting
        clearTimeout(timer)
        assert.notEqual(attempt.kind, 'pending', 'issue must settle soon after its signal is aborted')
        if (attempt.kind === 'done') await bench.release(attempt.issued, 'aborted')
        else await bench.backTo(before, 'an aborted issue must leave nothing at the backend')
      }
    }),

    check('gives back what it issued, whatever the reason', fixture, async (bench) => {
      for (const reason of REASONS) {
        const before = await bench.outstanding()
        const issued = [await bench.issue(one), await bench.issue(other)]
        if ((await bench.outstanding()) > before)
          for (const { release } of issued) assert.equal(typeof release, 'function', 'what lives needs a release')
        for (const credential of issued) assertDone(await bench.release(credential, reason), 'release')
        await bench.backTo(before, `what was issued must be given back: ${reason}`)
      }
      assertDone(await bench.release(await bench.issue(one), 'expired'), 'release')
    }),

    {
      name: 'lets the process end once it is disposed',
      async run() {
        const watched = watch()
        try {
          await watched.run(() =>
            onBench(fixture, async (bench) => {
              for (const caller of granted) await bench.release(await bench.issue(caller))
              await bench.module.check?.({ signal: new AbortController().signal })
              assertDone(await bench.dispose(), 'dispose')
            }),
          )
          const deadline = performance.now() + patienceOf(fixture)
          while (watched.alive().length > 0 && performance.now() < deadline) await delay(5)
          assert.deepEqual(watched.alive(), [], 'a disposed module must leave no timer, socket or process')
        } finally {
          watched.stop()
        }
      },
    },
  ]
}

function assertDone(outcome: Outcome<void>, what: string): void {
  if (outcome.kind === 'failed') throw new Error(`${what} must not reject`, { cause: outcome.error })
  assert.equal(outcome.kind, 'done', `${what} must settle`)
}
