import { isScope } from '@mcp-delegation/core'

/** What of a policy's or a verifier's scopes a challenge may ask for. */
export function askable(scopes: readonly unknown[] | undefined): readonly string[] {
  return (scopes ?? []).filter(isScope).filter((scope) => scope !== 'offline_access')
}

/**
 * A copy without duplicates.
 * @throws TypeError naming `option` for anything but scopes, and for `offline_access`: a server doesn't ask for that.
 */
export function checkScopes(scopes: unknown, option: string): readonly string[] {
  if (!Array.isArray(scopes) || !scopes.every(isScope))
    throw new TypeError(`"${option}" must be a list of OAuth scopes`)
  if (scopes.includes('offline_access')) throw new TypeError(`"${option}" must not ask for offline_access`)
  return Object.freeze([...new Set<string>(scopes)])
}
