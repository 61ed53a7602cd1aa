import assert from 'node:assert/strict'
import { canonicalJson } from '../../canonical-json.ts'
import type { IssuedCredential } from '../../module.ts'
import { type Attempt, type Bench, check } from './bench.ts'
import { assertDelegationError } from './errors.ts'
import type { Case, ConformanceCheck, Fixture } from './fixture.ts'
import { namingRequests } from './hostile.ts'
import { leaks, textsIn } from './leaks.ts'
import { likeSession } from './sessions.ts'

const REFUSALS: readonly string[] = ['ERR_DELEGATION_NO_IDENTITY', 'ERR_DELEGATION_DENIED']

/** Nobody gets what is not theirs. */
export function isolationChecks(fixture: Fixture): readonly ConformanceCheck[] {
  const { granted, unmapped, whoami } = fixture
  return [
    check('issues nothing to a user without a mapping', fixture, async (bench) => {
      const attempt = await bench.attempt(unmapped)
      assert.notEqual(attempt.kind, 'invalid', 'the request of the unmapped user must be valid')
      if (attempt.kind === 'unmapped') return
      assert.ok(attempt.kind === 'failed', 'a user without a mapping must get no credential')
      assertDelegationError(attempt.error)
      assert.ok(REFUSALS.includes(attempt.error.code), `the code must be ${REFUSALS.join(' or ')}`)
    }),

    check('keeps the inbound token out of the credential', fixture, async (bench) => {
      for (const caller of granted) {
        const issued = await bench.issue(caller)
        const token = caller.session.token?.reveal() ?? ''
        const texts = [...textsIn(issued), ...(await bench.secretsIn(issued.value))]
        assert.ok(!texts.some((text) => leaks(text, [token])), "the caller's token must never reach a backend")
      }
    }),

    ...(whoami === undefined
      ? []
      : [
          check('acts at the backend as the principal that it names', fixture, async (bench) => {
            for (const caller of granted) await assertSeenAs(bench, caller, await bench.issue(caller))
          }),
        ]),
  ]
}

/** Each user has what no other has. Not for modules whose principals are shared. */
export function personalChecks(fixture: Fixture): readonly ConformanceCheck[] {
  const [one, other] = fixture.granted
  return [
    check('gives each user a principal and secrets of their own', fixture, async (bench) => {
      assert.notEqual(bench.principalOf(one), bench.principalOf(other), 'two users must not have one principal')
      const mine = await bench.issue(one)
      const theirs = await bench.issue(other)
      if (mine.principal !== undefined) assert.notEqual(mine.principal, theirs.principal, 'two users act as one')
      await assertDisjoint(bench, mine, theirs)
    }),

    check('does not mix up issues that run at once', fixture, async (bench) => {
      const callers = [one, other, other, one, one, other]
      const issued = await Promise.all(callers.map(async (caller) => [caller, await bench.issue(caller)] as const))
      for (const [left, mine] of issued)
        for (const [right, theirs] of issued) if (left !== right) await assertDisjoint(bench, mine, theirs)
      for (const [caller, credential] of issued) await assertSeenAs(bench, caller, credential)
      const alone = await bench.issue(one)
      for (const [caller, theirs] of issued) if (caller !== one) await assertDisjoint(bench, alone, theirs)
    }),

    check('takes no principal from the request', fixture, async (bench) => {
      const theirs = await bench.issue(other)
      const usual = canonicalJson(bench.validate(one.request)?.request)
      const names = new Set([bench.principalOf(other), theirs.principal ?? '', other.session.subject])
      for (const who of names)
        for (const request of namingRequests(one.request, who)) {
          const attempt = await bench.attempt({ session: one.session, request })
          if (attempt.kind === 'invalid') continue
          if (canonicalJson(bench.validate(request)?.request) === usual) continue
          await assertNotThem(bench, attempt, other, theirs)
        }
    }),

    check('takes the same subject of another issuer for somebody else', fixture, async (bench) => {
      const mine = await bench.issue(one)
      const session = likeSession(one.session, { issuer: 'https://another-issuer.example' })
      await assertNotThem(bench, await bench.attempt({ ...one, session }), one, mine)
    }),
  ]
}

async function assertDisjoint(
  bench: Bench,
  mine: IssuedCredential<unknown>,
  theirs: IssuedCredential<unknown>,
): Promise<void> {
  const { value } = mine
  assert.ok(typeof value !== 'object' || value === null || value !== theirs.value, 'two users must not get one value')
  const secrets = new Set(await bench.secretsIn(theirs.value))
  const common = (await bench.secretsIn(value)).some((text) => secrets.has(text))
  assert.ok(!common, 'two users must not share a secret, unless the module says "shared"')
}

async function assertSeenAs(bench: Bench, caller: Case, issued: IssuedCredential<unknown>): Promise<void> {
  const seen = await bench.fixture.whoami?.(issued.value)
  if (seen === undefined) return
  assert.equal(seen, issued.principal ?? bench.principalOf(caller), 'the backend saw another principal')
}

/** Whatever the attempt came to, it was not as `them`, and brought nothing of theirs. */
async function assertNotThem(
  bench: Bench,
  attempt: Attempt,
  them: Case,
  theirs: IssuedCredential<unknown>,
): Promise<void> {
  if (attempt.kind === 'invalid' || attempt.kind === 'unmapped') return
  assert.notEqual(attempt.principal, bench.principalOf(them), 'the caller got the principal of another user')
  if (attempt.kind !== 'done') return
  if (theirs.principal !== undefined)
    assert.notEqual(attempt.issued.principal, theirs.principal, 'the caller got the principal of another user')
  await assertDisjoint(bench, attempt.issued, theirs)
  await bench.release(attempt.issued)
}
