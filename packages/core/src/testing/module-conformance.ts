import { checkModule } from '../module.ts'
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
    ...(isShared(checked) ? [] : personalChecks(checked)),
    ...lifetimeChecks(checked),
    ...secrecyChecks(checked),
    ...registryChecks(checked),
  ]
}
