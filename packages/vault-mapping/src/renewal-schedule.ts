/** The first wait after a renewal that failed, and the longest, in milliseconds. */
const BACKOFF = 10_000
const MAX_BACKOFF = 300_000

/**
 * Of a lease's duration, how much is left when it is given up: 10 to 20 %, by chance, so that what was leased together is
 * not renewed together. Milliseconds, as all durations here.
 */
export function graceOf(duration: number, random: () => number = Math.random): number {
  return duration * (0.1 + random() * 0.1)
}

/**
 * How long to wait until a lease is renewed, the rule of Vault's own LifetimeWatcher; `undefined` where it is given up.
 * @see https://pkg.go.dev/github.com/hashicorp/vault/api#LifetimeWatcher
 */
export function renewalDelay(remaining: number, grace: number): number | undefined {
  if (!(remaining > grace)) return undefined
  return (remaining * 2) / 3 + grace / 3
}

/** How long to wait after `failures` renewals that failed in a row; `undefined` where the lease is given up before. */
export function retryDelay(failures: number, remaining: number, grace: number): number | undefined {
  const delay = Math.min(BACKOFF * 2 ** (failures - 1), MAX_BACKOFF)
  const left = remaining - grace
  if (!(left > 0)) return undefined
  // A lease that is shorter than the back-off has one more try.
  return delay < left ? delay : failures === 1 ? left / 2 : undefined
}
