/** @see https://www.rfc-editor.org/rfc/rfc6749#section-3.3 */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/

/** Whether `scope` is written as OAuth scopes are, so that it can stand in a token and in a challenge. */
export function isScope(scope: unknown): scope is string {
  return typeof scope === 'string' && SCOPE_TOKEN.test(scope)
}

/**
 * A frozen copy without duplicates.
 * @throws TypeError naming `option` for anything but a list of scopes.
 */
export function scopeList(scopes: unknown, option: string): readonly string[] {
  if (!Array.isArray(scopes) || !scopes.every(isScope))
    throw new TypeError(`"${option}" must be a list of OAuth scopes`)
  return Object.freeze([...new Set<string>(scopes)])
}

/** Which scopes include which. */
export interface ScopeHierarchy {
  /** Whether `granted` holds every one of `required`, or for each a scope that includes it. */
  covers(granted: ReadonlySet<string>, required: readonly string[]): boolean
}

/**
 * Follows "a scope and what it includes" transitively; a cycle makes its members equal.
 * @throws TypeError naming `scopeHierarchy`.
 */
export function scopeHierarchy(includes: Readonly<Record<string, readonly string[]>> = {}): ScopeHierarchy {
  if (includes === null || typeof includes !== 'object' || Array.isArray(includes))
    throw new TypeError('"scopeHierarchy" must be an object of lists of scopes')
  const direct = new Map(
    Object.entries(includes).map(([scope, included]) => {
      scopeList([scope], 'scopeHierarchy')
      return [scope, scopeList(included, `scopeHierarchy.${scope}`)]
    }),
  )
  /** By scope: every other scope that includes it. */
  const above = new Map<string, Set<string>>()
  for (const top of direct.keys()) {
    const open = [top]
    const reached = new Set(open)
    for (let scope = open.pop(); scope !== undefined; scope = open.pop())
      for (const included of direct.get(scope) ?? []) {
        if (reached.has(included)) continue
        reached.add(included)
        open.push(included)
        const others = above.get(included) ?? new Set()
        above.set(included, others.add(top))
      }
  }
  const covered = (granted: ReadonlySet<string>, scope: string): boolean => {
    if (granted.has(scope)) return true
    for (const wider of above.get(scope) ?? []) if (granted.has(wider)) return true
    return false
  }
  return { covers: (granted, required) => required.every((scope) => covered(granted, scope)) }
}
