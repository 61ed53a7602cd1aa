import { snapshotOf } from '../session.ts'
import { contractChecks } from './conformance/contract.ts'
import type { ConformanceCheck, ConformanceFixture, Fixture } from './conformance/fixture.ts'
import { isolationChecks, personalChecks } from './conformance/isolation.ts'
import { lifetimeChecks } from './conformance/lifetime.ts'
import { secrecyChecks } from './conformance/secrecy.ts'
import { registryChecks } from './conformance/through-registry.ts'

/**
 * The tests that every module has to pass, for any test runner:
 * `for (const { name, run } of moduleConformance(fixture)) test(name, run)`.
 * Each check makes its own module, cleans up, and is independent of the others.
 * @throws TypeError naming the member of `fixture` that is wrong.
 */
export function moduleConformance<Request, Value, Input = Request>(
  fixture: ConformanceFixture<Request, Value, Input>,
): readonly ConformanceCheck[] {
  // The checks hand values from the module to the fixture and back, and never look into their types.
  const checked = fixture as unknown as Fixture
  checkFixture(checked)
  return [
    ...contractChecks(checked),
    ...isolationChecks(checked),
    ...(checked.shared === true ? [] : personalChecks(checked)),
    ...lifetimeChecks(checked),
    ...secrecyChecks(checked),
    ...registryChecks(checked),
  ]
}

function checkFixture(fixture: Fixture): void {
  if (fixture === null || typeof fixture !== 'object') throw new TypeError('"fixture" must be an object')
  for (const member of ['create', 'secretsOf'] as const)
    if (typeof fixture[member] !== 'function') throw new TypeError(`"fixture.${member}" must be a function`)
  for (const member of ['outstanding', 'whoami'] as const)
    if (fixture[member] !== undefined && typeof fixture[member] !== 'function')
      throw new TypeError(`"fixture.${member}" must be a function`)
  if (!Array.isArray(fixture.granted) || fixture.granted.length !== 2)
    throw new TypeError('"fixture.granted" must be a list of two cases')
  const cases = [...fixture.granted, fixture.unmapped, ...(fixture.faults ?? [])]
  for (const given of cases)
    if (snapshotOf(given?.session)?.session.token === undefined)
      throw new TypeError('"fixture" must have sessions with tokens: testSession makes them')
  const [one, other] = fixture.granted
  if (snapshotOf(one.session)?.identity === snapshotOf(other.session)?.identity)
    throw new TypeError('"fixture.granted" must be about two users')
  for (const text of fixture.secrets ?? [])
    if (typeof text !== 'string' || text.length < 8)
      throw new TypeError('"fixture.secrets" must be texts of 8 characters or more')
}
