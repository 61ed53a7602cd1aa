import { DelegationError, type ModuleMap, type Session } from '@mcp-delegation/core'
import type { Settings } from './options.ts'
import { askable, checkScopes } from './scopes.ts'

/** What tools ask of their callers. */
export interface Operations {
  /**
   * Says which scopes a tool needs besides the base scopes. Saying the same again changes nothing.
   * @throws TypeError for what is not a scope, and where the tool was said to need others.
   */
  require(tool: string, scopes: readonly string[]): void
  /** `ERR_SESSION_SCOPE` with everything the call needs, or `ERR_TOOL_DENIED`; undefined where the call may go on. */
  refusal(tool: string, session: Session): DelegationError | undefined
}

const NONE: readonly string[] = Object.freeze([])

/** Scopes by tool, and the registry's policy. */
export function operations<M extends ModuleMap>(settings: Settings<M>): Operations {
  const { registry, baseScopes, hierarchy } = settings
  const needed = new Map<string, readonly string[]>()

  function lacks(tool: string, also: readonly string[]): DelegationError {
    const scopes = [...new Set([...baseScopes, ...(needed.get(tool) ?? NONE), ...also])]
    return new DelegationError('ERR_SESSION_SCOPE', `this tool needs the scopes ${scopes.join(' ')}`, { scopes })
  }

  return {
    require(tool, scopes) {
      const known = needed.get(tool)
      if (known === undefined) needed.set(tool, checkScopes(scopes, 'scopes'))
      else if (known.length !== new Set(scopes).size || !scopes.every((scope) => known.includes(scope)))
        throw new TypeError(`"scopes" of the tool ${tool} are already said to be ${known.join(' ')}`)
    },
    refusal(tool, session) {
      if (!hierarchy.covers(session.scopes, baseScopes)) return lacks(tool, NONE)
      const own = needed.get(tool)
      if (own !== undefined && !hierarchy.covers(session.scopes, own)) return lacks(tool, NONE)
      const decision = registry.decide(session, tool)
      if (decision.allowed) return undefined
      const scopes = askable(decision.scopes)
      if (scopes.length > 0) return lacks(tool, scopes)
      return new DelegationError('ERR_TOOL_DENIED', `the policy refused: ${plain(decision.reason)}`)
    },
  }
}

/** Text of the policy's author, bounded, for a model to read. */
function plain(reason: string): string {
  return String(reason)
    .slice(0, 200)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}
