import type { McpServer, ScopeChallengeHandler, ServerContext } from '@modelcontextprotocol/server'
import type { Untyped } from './handlers.ts'
import type { Operation } from './records.ts'
import { fallsBackTo, registersUnder, type Under } from './registrations.ts'
import { asGuarded, checkUnused, isGuarded, isMethod, type Method, type Requests } from './requests.ts'
import { resourceNames } from './resource-names.ts'

/** What asks for more scopes before an operation is dispatched. */
export type Challenge = (operation: Operation) => ScopeChallengeHandler

/**
 * Stands in front of whatever handlers the server gets from now on, through its public methods.
 * @throws TypeError for a server that has some already, and for one under another guard.
 */
export function guardServer<S extends McpServer>(
  server: S,
  requests: Requests<ServerContext>,
  under: Under,
  challenge: Challenge,
): S {
  const inner = server.server
  if (isGuarded(inner, requests)) return server
  checkUnused(inner)
  const names = resourceNames()

  const answer = async (method: Method, params: unknown, context: unknown, call: () => Promise<unknown>) =>
    isPrivate(method, await requests(method, params, context as ServerContext, names, call))
  const set = inner.setRequestHandler.bind(inner) as Untyped
  const front: Untyped = (method, ...rest) => {
    const handler = rest.at(-1) as Untyped
    if (!isMethod(method) || typeof handler !== 'function') return set(method, ...rest)
    // With schemas of its own, a handler is given the parameters alone.
    const bare = rest.length > 1
    const guardedHandler = async (given: unknown, context: unknown): Promise<unknown> => {
      const params = bare ? given : (given as { readonly params?: unknown }).params
      return answer(method, params, context, async () => handler(given, context))
    }
    return set(method, ...rest.slice(0, -1), guardedHandler)
  }
  inner.setRequestHandler = asGuarded(front, requests) as typeof inner.setRequestHandler
  fallsBackTo(inner, (handler) => async (request, context) => {
    const { method, params } = request as { readonly method: string; readonly params?: unknown }
    const call = async (): Promise<unknown> => handler(request, context)
    return isMethod(method) ? answer(method, params, context, call) : call()
  })

  registersUnder(server, 'registerTool', 'tool', under)
  registersUnder(server, 'registerPrompt', 'prompt', under)
  registersUnder(server, 'registerResource', 'resource', under)
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
