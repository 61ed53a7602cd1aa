import { DelegationError, type ModuleMap, type OperationKind, type Session } from '@mcp-delegation/core'
import type { Settings } from './options.ts'
import { askable, checkScopes } from './scopes.ts'

/** What tools, resources and prompts ask of their callers. */
export interface Operations {
  /**
   * Says which scopes a tool needs besides the base scopes. Saying the same again changes nothing.
   * @throws TypeError for what is not a scope, and where the tool was said to need others.
   */
  require(tool: string, scopes: readonly string[]): void
  /**
   * `ERR_TOOL_DENIED` where the policy refuses whatever scopes the caller brings, `ERR_SESSION_SCOPE` with everything
   * that the call needs; undefined where it may go on.
   */
  refusal(kind: OperationKind, name: string, session: Session): DelegationError | undefined
}

const NONE: readonly string[] = Object.freeze([])

/** Scopes by tool, and the registry's policy. */
export function operations<M extends ModuleMap>(settings: Settings<M>): Operations {
  const { registry, baseScopes, hierarchy } = settings
  const needed = new Map<string, readonly string[]>()

  return {
    require(tool, scopes) {
      const known = needed.get(tool)
      if (known === undefined) needed.set(tool, checkScopes(scopes, 'scopes'))
      else if (known.length !== new Set(scopes).size || !scopes.every((scope) => known.includes(scope)))
        throw new TypeError(`"scopes" of the tool ${tool} are already said to be ${known.join(' ')}`)
    },
    refusal(kind, name, session) {
      const decision = registry.decide(session, name, kind)
      const asked = decision.allowed ? NONE : askable(decision.scopes)
      const own = (kind === 'tool' && needed.get(name)) || NONE
      const scopes = [...new Set([...baseScopes, ...own, ...asked])]
      // Who is sent to get what their token has already comes back with the same one, again and again.
      const helps = asked.length > 0 && !scopes.every((scope) => session.scopes.has(scope))
      if (!decision.allowed && !helps)
        return new DelegationError('ERR_TOOL_DENIED', `the policy refused: ${plain(decision.reason)}`)
      const covered = hierarchy.covers(session.scopes, baseScopes) && hierarchy.covers(session.scopes, own)
      if (decision.allowed && covered) return undefined
      return new DelegationError('ERR_SESSION_SCOPE', `this ${kind} needs the scopes ${scopes.join(' ')}`, { scopes })
    },
  }
}

/** Text of the policy's author, bounded, for a model to read. */
function plain(reason: string): string {
  return String(reason)
    .slice(0, 200)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}
