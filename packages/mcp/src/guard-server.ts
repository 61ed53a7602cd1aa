import type { McpServer, ScopeChallengeHandler, ServerContext } from '@modelcontextprotocol/server'
import type { Operation } from './records.ts'
import { asGuarded, checkUnused, isGuarded, isMethod, type Requests } from './requests.ts'
import { resourceNames } from './resource-names.ts'

/** What asks for more scopes before an operation is dispatched. */
export type Challenge = (operation: Operation) => ScopeChallengeHandler

/** A method as seen from in front of it, whatever its overloads. */
type Untyped = (...given: unknown[]) => unknown

/**
 * Stands in front of whatever handlers the server gets from now on, through its public methods.
 * @throws TypeError for a server that has some already.
 */
export function guardServer<S extends McpServer>(
  server: S,
  requests: Requests<ServerContext>,
  challenge: Challenge,
): S {
  const inner = server.server
  if (isGuarded(inner)) return server
  checkUnused(inner)
  const names = resourceNames()

  const set = inner.setRequestHandler.bind(inner) as Untyped
  const front: Untyped = (method, ...rest) => {
    const handler = rest.at(-1) as Untyped
    if (!isMethod(method) || typeof handler !== 'function') return set(method, ...rest)
    // With schemas of its own, a handler is given the parameters alone.
    const bare = rest.length > 1
    const guardedHandler = async (given: unknown, context: unknown): Promise<unknown> => {
      const params = bare ? given : (given as { readonly params?: unknown }).params
      const call = async (): Promise<unknown> => handler(given, context)
      return isPrivate(method, await requests(method, params, context as ServerContext, names, call))
    }
    return set(method, ...rest.slice(0, -1), guardedHandler)
  }
  inner.setRequestHandler = asGuarded(front) as typeof inner.setRequestHandler

  const challenged = (operation: Operation, config: object): object => {
    const { scopeChallenge = challenge(operation) } = config as { scopeChallenge?: ScopeChallengeHandler }
    return { ...config, scopeChallenge }
  }
  const { registerTool, registerPrompt, registerResource } = server as unknown as Record<string, Untyped>
  const registering: Record<string, Untyped> = {
    registerTool: (name, config, handler) =>
      registerTool?.call(server, name, challenged({ kind: 'tool', name: String(name) }, config as object), handler),
    registerPrompt: (name, config, handler) =>
      registerPrompt?.call(server, name, challenged({ kind: 'prompt', name: String(name) }, config as object), handler),
    registerResource(name, target, config, handler) {
      const asked = challenged({ kind: 'resource', name: String(name) }, config as object)
      const registered = registerResource?.call(server, name, target, asked, handler)
      names.add(String(name), target as never, registered as never)
      return registered
    },
  }
  return Object.assign(server, registering)
}

/** What differs by caller is for no shared cache, whatever the server's author says. */
function isPrivate(method: string, result: unknown): unknown {
  const { resultType } = (result ?? {}) as { readonly resultType?: unknown }
  if (resultType === 'input_required' || !(method.endsWith('/list') || method === 'resources/read')) return result
  return { ...(result as object), cacheScope: 'private' }
}
