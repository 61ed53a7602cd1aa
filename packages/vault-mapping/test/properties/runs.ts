/** How many runs a property gets: `usual`, or `FC_RUNS` where that is set. */
export function runs(usual: number): { readonly numRuns: number } {
  const asked = Number(process.env['FC_RUNS'])
  return { numRuns: Number.isSafeInteger(asked) && asked > 0 ? asked : usual }
}
