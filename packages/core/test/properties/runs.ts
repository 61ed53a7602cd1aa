import { expect } from 'vitest'

/** How many runs a property gets: `usual`, or `FC_RUNS` where that is set. */
export function runs(usual: number): { readonly numRuns: number } {
  const asked = Number(process.env['FC_RUNS'])
  return { numRuns: Number.isSafeInteger(asked) && asked > 0 ? asked : usual }
}

/** A property about cases that do not come up would prove nothing: each must have, in the runs, one time in twenty. */
export function expectOften(seen: Readonly<Record<string, number>>, usual: number): void {
  const { numRuns } = runs(usual)
  expect(Object.entries(seen).filter(([, times]) => times <= numRuns / 20)).toEqual([])
}
