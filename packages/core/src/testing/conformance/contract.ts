import assert from 'node:assert/strict'
import { canonicalJson } from '../../canonical-json.ts'
import { checkModule } from '../../module.ts'
import { isCleanText } from '../../text.ts'
import { type Bench, check } from './bench.ts'
import { assertDelegationError } from './errors.ts'
import type { Case, ConformanceCheck, Fixture } from './fixture.ts'
import { HOSTILE_TEXTS, hostileRequests } from './hostile.ts'
import { printed } from './leaks.ts'
import { likeSession } from './sessions.ts'

/** What every module is, whatever its backend. */
export function contractChecks(fixture: Fixture): readonly ConformanceCheck[] {
  const { granted, unmapped } = fixture
  // From before the first check: what a module changes stays changed.
  const untouched = granted.map(printed)
  return [
    check('has the shape of a module', fixture, async ({ module }) => {
      checkModule(module, 'module')
      assert.equal(module.shared === true, fixture.shared === true, 'fixture and module must agree on "shared"')
    }),

    check('validates requests synchronously, into plain JSON', fixture, async (bench) => {
      for (const { request } of [...granted, unmapped]) {
        const once = bench.validate(request)
        const again = bench.validate(request)
        assert.ok(once !== undefined && again !== undefined, "the fixture's requests must be valid")
        assert.equal(canonicalJson(once.request), canonicalJson(again.request), 'one request must give one output')
      }
    }),

    check('derives target and principal synchronously, and always the same', fixture, async (bench) => {
      const derive = (): readonly unknown[] => granted.flatMap((caller) => derived(bench, caller))
      const first = derive()
      for (const text of first)
        assert.ok(isCleanText(text, 1024), 'target and principal must be text without control characters')
      assert.deepEqual(derive(), first, 'target and principal must not change from call to call')
      for (const caller of granted) await bench.issue(caller)
      assert.deepEqual(derive(), first, 'target and principal must not depend on what was issued before')
    }),

    check('leaves the request and the session as they were', fixture, async (bench) => {
      for (const caller of granted) {
        derived(bench, caller)
        await bench.attempt(caller)
      }
      assert.deepEqual(granted.map(printed), untouched, 'a module must not change request or session')
    }),

    check('refuses hostile requests, or serves them, without a crash', fixture, async (bench) => {
      const [{ session, request: good }] = granted
      for (const request of hostileRequests(good)) await survives(bench, { session, request })
      assert.ok(!('polluted' in {}), 'a request must not reach the prototype of all objects')
    }),

    check('refuses hostile subjects, or maps them, without a crash', fixture, async (bench) => {
      const [{ session, request }] = granted
      for (const subject of HOSTILE_TEXTS)
        if (isCleanText(subject, 255)) await survives(bench, { session: likeSession(session, { subject }), request })
    }),
  ]
}

function derived(bench: Bench, { session, request }: Case): readonly unknown[] {
  const validated = bench.validate(request)
  assert.ok(validated !== undefined, 'a granted request must be valid')
  return [bench.module.target(validated.request), bench.module.principal(session, validated.request)]
}

async function survives(bench: Bench, caller: Case): Promise<void> {
  const attempt = await bench.attempt(caller)
  assert.notEqual(attempt.kind, 'pending', 'issue must settle')
  if (attempt.kind === 'failed') assertDelegationError(attempt.error)
  if (attempt.kind === 'done') await bench.release(attempt.issued)
}
