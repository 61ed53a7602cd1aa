const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const DURATION = /^([0-9]{1,9})([smhdw])$/
const INSTANT =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,3})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?$/

/**
 * Reads an instant in ISO 8601 with its offset, a day, which begins at midnight UTC, or how long before `now` it was.
 * In milliseconds since the epoch; undefined where it is neither.
 */
export function instantOf(text: string, now: number): number | undefined {
  const [, amount, unit] = DURATION.exec(text) ?? []
  if (unit !== undefined) return now - Number(amount) * (UNITS[unit] ?? 0)
  const at = INSTANT.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}
