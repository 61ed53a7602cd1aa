import assert from 'node:assert/strict'
import { type Bench, check, onBench } from './bench.ts'
import { assertDelegationError } from './errors.ts'
import type { Case, ConformanceCheck, Fixture } from './fixture.ts'
import { hostileRequests } from './hostile.ts'
import { leaks, printed } from './leaks.ts'
import { watch } from './watch.ts'

/** What may be seen of a module's work: nothing secret, and only errors that say what to do. */
export function secrecyChecks(fixture: Fixture): readonly ConformanceCheck[] {
  const { granted, faults = [] } = fixture
  return [
    check('shows no secret where a credential is printed', fixture, async (bench) => {
      for (const caller of granted) {
        const text = printed(await bench.issue(caller))
        assert.ok(!leaks(text, bench.secrets), 'a value must not print its secret: wrap it with secret()')
      }
    }),

    check('fails only with DelegationErrors', fixture, async (bench) => {
      for (const error of await provoke(bench)) assertDelegationError(error)
    }),

    check('keeps secrets out of its errors', fixture, async (bench) => {
      for (const error of await provoke(bench))
        assert.ok(!leaks(printed(error), bench.secrets), 'an error, or the cause of one, holds a secret')
    }),

    check('keeps secrets out of its log', fixture, async (bench) => {
      await provoke(bench)
      await bench.dispose()
      for (const line of bench.logs) assert.ok(!leaks(line, bench.secrets), 'a line of the log holds a secret')
    }),

    {
      name: 'writes nothing to stdout and stderr',
      async run() {
        const watched = watch()
        try {
          await watched.run(() =>
            onBench(fixture, async (bench) => {
              await provoke(bench)
              await bench.dispose()
            }),
          )
          assert.deepEqual(watched.prints, [], 'stdout belongs to the transport: use context.log')
        } finally {
          watched.stop()
        }
      },
    },

    ...faults.map((fault) =>
      check(
        `fails with ${fault.code} when ${fault.when}`,
        fixture,
        async (bench) => {
          const attempt = await bench.attempt(fault)
          assert.notEqual(attempt.kind, 'pending', 'the attempt must settle: give the backend a deadline')
          assert.ok(attempt.kind === 'failed', 'the attempt must fail')
          assertDelegationError(attempt.error)
          assert.equal(attempt.error.code, fault.code)
        },
        fault.create,
      ),
    ),
  ]
}

/** Makes a module work, and fail in every way that the fixture knows; answers with what it failed with. */
async function provoke(bench: Bench): Promise<readonly unknown[]> {
  const { fixture } = bench
  const [one] = fixture.granted
  const errors: unknown[] = []
  const collect = async (on: Bench, caller: Case): Promise<void> => {
    const attempt = await on.attempt(caller)
    if (attempt.kind === 'failed') errors.push(attempt.error)
    if (attempt.kind === 'done') await on.release(attempt.issued)
  }
  for (const caller of [...fixture.granted, fixture.unmapped]) await collect(bench, caller)
  for (const request of hostileRequests(one.request)) await collect(bench, { session: one.session, request })
  for (const fault of fixture.faults ?? [])
    await onBench(
      fixture,
      async (broken) => {
        await collect(broken, fault)
        bench.logs.push(...broken.logs)
      },
      fault.create,
    )
  return errors
}
