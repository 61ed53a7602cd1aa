import type { IncomingMessage, ServerResponse } from 'node:http'
import { DelegationError, type ModuleMap, type Session } from '@mcp-delegation/core'
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import type { CallToolResult, ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js'
import { withHeaders } from '../answer.ts'
import { authInfoOf, sessionOf } from '../auth-info.ts'
import { createGate } from '../gate.ts'
import { asksForUrl, createGuard, type ToolCall as GuardedCall } from '../guard.ts'
import { headOf, type NodeRequest, redactAuthorization, sendAnswer } from '../node-http.ts'
import { operations } from '../operations.ts'
import { checkOptions, type ProtectOptions } from '../options.ts'
import { stdioSession } from '../stdio-session.ts'
import { createStepUp } from '../step-up.ts'
import { transportSessions } from '../transport-session.ts'

/** What SDK v1 calls handlers with. */
export type ToolContext = RequestHandlerExtra<ServerRequest, ServerNotification>

/** What a tool's handler is called with, besides its arguments. */
export type ToolCall<M extends ModuleMap> = GuardedCall<M, ToolContext>

/** A tool's handler as `registerTool` takes it; the SDK calls a tool without `inputSchema` with the context alone. */
export interface ProtectedTool<Args> {
  (args: Args, context: ToolContext): Promise<CallToolResult>
  (context: ToolContext): Promise<CallToolResult>
}

/** A protected server of the MCP SDK's first generation. */
export interface ProtectedMcp<M extends ModuleMap> {
  /**
   * Stands around a tool's handler: a session in good standing, the policy, one audit record per call, and errors that
   * are safe to show. A `DelegationError` becomes a result with `isError`, its message, and its code in
   * `_meta["mcp-delegation/code"]`; any other error becomes "tool failed" and goes to the log. Leases that the handler
   * leaves open are disposed when it is done. `name` is what audit and policy call the tool.
   */
  tool<Args>(name: string, handler: (args: Args, call: ToolCall<M>) => Promise<CallToolResult>): ProtectedTool<Args>
  /**
   * Says which scopes a tool needs besides the base scopes. The middleware asks a caller who lacks one to step up where
   * a body parser ran before it; otherwise the call is answered with a tool error.
   * @throws TypeError for what is not a scope, and where the tool was said to need other scopes.
   */
  scopes(name: string, ...scopes: readonly string[]): void
  /**
   * For Express, Connect and whatever calls `(request, response, next)`: verifies the caller, puts an `AuthInfo` without
   * the token on `request.auth`, takes the token out of the request, and calls `next`; answers everything else itself,
   * the metadata too. Never rejects.
   */
  middleware(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): Promise<void>
  /**
   * For the `sessionIdGenerator` of a transport that keeps sessions: ids that only this caller can use. A request with
   * any other id is answered with 404. A server that keeps no sessions needs none.
   * @throws DelegationError `ERR_SESSION_INVALID` where `authInfo` is not from the middleware.
   */
  sessionIdGenerator(authInfo: AuthInfo | undefined): () => string
}

/**
 * Protects a server made with SDK v1 (`@modelcontextprotocol/sdk`): nobody passes the middleware without a verified
 * session, and the server's tools get credentials of their callers.
 * @throws TypeError naming the option that is wrong.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 */
export function protectMcp<const M extends ModuleMap>(options: ProtectOptions<M>): ProtectedMcp<M> {
  const settings = checkOptions(options)
  const { metadata, challenges, resource, log } = settings
  const transports = transportSessions()
  const gate = createGate(settings, transports)
  const required = operations(settings)
  const guard = createGuard(settings, required)
  const stepUp = createStepUp(settings, required)
  const onStdio = stdioSession(settings)

  const callerOf = ({ authInfo, requestInfo }: ToolContext): Session | Promise<Session> => {
    if (authInfo === undefined && requestInfo === undefined) return onStdio()
    const session = sessionOf(authInfo)
    if (session === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the call has no session')
    return session
  }

  async function lackedScopes(session: Session, body: unknown): Promise<readonly string[] | undefined> {
    const scopes = new Set<string>()
    for (const tool of calledTools(body)) for (const scope of (await stepUp(tool, session)) ?? []) scopes.add(scope)
    return scopes.size === 0 ? undefined : [...scopes]
  }

  return {
    tool<Args>(name: string, handler: (args: Args, call: ToolCall<M>) => Promise<CallToolResult>): ProtectedTool<Args> {
      return (...given: [Args, ToolContext] | [ToolContext]): Promise<CallToolResult> => {
        const context = given.length === 1 ? given[0] : given[1]
        const args = given.length === 1 ? {} : given[0]
        const { signal } = context
        return guard.run({ tool: name, args, signal, context, session: () => callerOf(context) }, handler, asksForUrl)
      }
    },

    scopes(name, ...scopes) {
      required.require(name, scopes)
    },

    async middleware(request: NodeRequest & { auth?: AuthInfo }, response, next) {
      let cors: Readonly<Record<string, string>> | undefined
      try {
        const admitted = await gate.admit(headOf(request))
        if ('status' in admitted) return sendAnswer(response, admitted)
        const { session } = admitted
        cors = admitted.headers
        const scopes = await lackedScopes(session, request.body)
        if (scopes !== undefined) return sendAnswer(response, withHeaders(challenges.insufficientScope(scopes), cors))
        request.auth = authInfoOf(session, resource, metadata.url)
        redactAuthorization(request)
        for (const name in cors) response.setHeader(name, cors[name] ?? '')
      } catch (error) {
        log.error({ err: error }, 'a request failed')
        return sendAnswer(response, withHeaders(challenges.failed, cors))
      }
      next()
    },

    sessionIdGenerator: (authInfo) => transports.generator(sessionOf(authInfo)),
  }
}

/** The names of the tools that a parsed body calls. */
function calledTools(body: unknown): readonly string[] {
  const tools: string[] = []
  for (const message of Array.isArray(body) ? body : [body]) {
    const { method, params } = (message ?? {}) as { method?: unknown; params?: { name?: unknown } | null }
    if (method === 'tools/call' && typeof params?.name === 'string') tools.push(params.name)
  }
  return tools
}
