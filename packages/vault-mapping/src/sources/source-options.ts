/** How long what Vault keeps is used until it is read again, in milliseconds: nobody tells when it is changed. */
const DEFAULT_MAX_AGE = 300_000
const MAX_DELAY = 2 ** 31 - 1

/** @throws TypeError. */
export function maxAgeOf(maxAge: unknown = DEFAULT_MAX_AGE): number {
  return milliseconds(maxAge, 'maxAge', 1)
}

/**
 * A duration as Vault takes it, in whole seconds; `undefined` where the role's own counts.
 * @throws TypeError.
 */
export function ttlOf(ttl: unknown): string | undefined {
  return ttl === undefined ? undefined : `${Math.ceil(milliseconds(ttl, 'ttl', 1_000) / 1_000)}s`
}

function milliseconds(value: unknown, option: string, min: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= MAX_DELAY))
    throw new TypeError(`"${option}" must be a number of milliseconds from ${min} to ${MAX_DELAY}`)
  return value
}
