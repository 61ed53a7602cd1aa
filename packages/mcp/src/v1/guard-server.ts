import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import type { ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js'
import type { Untyped } from '../handlers.ts'
import { fallsBackTo, registersUnder, type Under } from '../registrations.ts'
import { asGuarded, checkUnused, isGuarded, isMethod, type Requests } from '../requests.ts'
import { resourceNames } from '../resource-names.ts'

type Context = RequestHandlerExtra<ServerRequest, ServerNotification>
type Request = { readonly method: string; readonly params?: unknown }

/**
 * Stands in front of whatever handlers the server gets from now on, through its public methods.
 * @throws TypeError for a server that has some already, and for one under another guard.
 */
export function guardServer<S extends McpServer>(server: S, requests: Requests<Context>, under: Under): S {
  const inner = server.server
  if (isGuarded(inner, requests)) return server
  checkUnused(inner)
  const names = resourceNames()

  const behind =
    (handler: Untyped): Untyped =>
    async (request, context) => {
      const call = async (): Promise<unknown> => handler(request, context)
      const { method, params } = request as Request
      return isMethod(method) ? await requests(method, params, context as Context, names, call) : await call()
    }
  const set = inner.setRequestHandler.bind(inner) as Untyped
  const front = (schema: unknown, handler: Untyped): unknown => set(schema, behind(handler))
  inner.setRequestHandler = asGuarded(front, requests) as typeof inner.setRequestHandler
  fallsBackTo(inner, behind)

  for (const method of ['registerTool', 'tool']) registersUnder(server, method, 'tool', under)
  for (const method of ['registerPrompt', 'prompt']) registersUnder(server, method, 'prompt', under)
  const methods = server as unknown as Record<string, Untyped>
  for (const method of ['registerResource', 'resource']) {
    registersUnder(server, method, 'resource', under)
    const register = methods[method]
    methods[method] = (name, target, ...rest) => {
      const registered = register?.call(server, name, target, ...rest)
      names.add(String(name), target as never, registered as never)
      return registered
    }
  }
  return server
}
