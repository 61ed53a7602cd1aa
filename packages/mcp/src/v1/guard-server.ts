import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import type { ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js'
import { asGuarded, checkUnused, isGuarded, isMethod, type Requests } from '../requests.ts'
import { resourceNames } from '../resource-names.ts'

type Context = RequestHandlerExtra<ServerRequest, ServerNotification>
/** A method as seen from in front of it, whatever its overloads. */
type Untyped = (...given: unknown[]) => unknown

/**
 * Stands in front of whatever handlers the server gets from now on, through its public methods.
 * @throws TypeError for a server that has some already.
 */
export function guardServer<S extends McpServer>(server: S, requests: Requests<Context>): S {
  const inner = server.server
  if (isGuarded(inner)) return server
  checkUnused(inner)
  const names = resourceNames()

  const set = inner.setRequestHandler.bind(inner) as Untyped
  const front = (schema: unknown, handler: Untyped): unknown =>
    set(schema, async (request: { readonly method: string; readonly params?: unknown }, context: Context) => {
      const call = async (): Promise<unknown> => handler(request, context)
      const { method, params } = request
      return isMethod(method) ? await requests(method, params, context, names, call) : await call()
    })
  inner.setRequestHandler = asGuarded(front) as typeof inner.setRequestHandler

  const methods = server as unknown as Record<string, Untyped>
  for (const method of ['registerResource', 'resource']) {
    const register = methods[method]
    methods[method] = (name, target, ...rest) => {
      const registered = register?.call(server, name, target, ...rest)
      names.add(String(name), target as never, registered as never)
      return registered
    }
  }
  return server
}
