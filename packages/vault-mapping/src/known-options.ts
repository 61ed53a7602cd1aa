/**
 * A misspelled option must not be ignored.
 * @throws TypeError naming the option that `factory` does not have.
 */
export function checkKnown(options: unknown, known: readonly string[], factory: string): void {
  if (options === null || typeof options !== 'object') throw new TypeError(`"${factory}" takes an object of options`)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`"${unknown}" is not an option of ${factory}`)
}
