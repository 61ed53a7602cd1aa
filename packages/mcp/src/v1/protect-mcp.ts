import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ModuleMap, Session } from '@mcp-delegation/core'
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import {
  type CallToolResult,
  type GetPromptResult,
  McpError,
  type ReadResourceResult,
  type ServerNotification,
  type ServerRequest,
} from '@modelcontextprotocol/sdk/types.js'
import { withHeaders } from '../answer.ts'
import { authInfoOf, sessionOf } from '../auth-info.ts'
import type { Call } from '../guard.ts'
import type { ResourceCall as GuardedResourceCall, Handler, ResourceHandler } from '../handlers.ts'
import { headOf, type NodeRequest, redactAuthorization, sendAnswer } from '../node-http.ts'
import type { ProtectOptions } from '../options.ts'
import { protection } from '../protection.ts'
import type { Operation } from '../records.ts'
import { guardServer } from './guard-server.ts'

/** What SDK v1 calls handlers with. */
export type ToolContext = RequestHandlerExtra<ServerRequest, ServerNotification>

/** What a tool's handler is called with, besides its arguments. */
export type ToolCall<M extends ModuleMap> = Call<M, ToolContext>

/** What a resource's handler is called with, besides the URI. */
export type ResourceCall<M extends ModuleMap> = GuardedResourceCall<M, ToolContext>

/** What a prompt's handler is called with, besides its arguments. */
export type PromptCall<M extends ModuleMap> = Call<M, ToolContext>

/** A tool's handler as `registerTool` takes it; the SDK calls a tool without `inputSchema` with the context alone. */
export type ProtectedTool<Args> = Handler<Args, ToolContext, CallToolResult>

/** A resource's handler as `registerResource` takes it, of a fixed URI and of a template. */
export type ProtectedResource = ResourceHandler<ToolContext, ReadResourceResult>

/** A prompt's handler as `registerPrompt` takes it; the SDK calls one without `argsSchema` with the context alone. */
export type ProtectedPrompt<Args> = Handler<Args, ToolContext, GetPromptResult>

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
   * The same around a resource's handler, of a fixed URI or of a template; one `resource` record for each reading. Errors
   * are JSON-RPC errors with a safe message and the code in `data["mcp-delegation/code"]`; an `McpError` reaches the
   * client as it is. `name` is the one under which the resource is registered.
   */
  resource(name: string, handler: (uri: URL, call: ResourceCall<M>) => Promise<ReadResourceResult>): ProtectedResource
  /** The same around a prompt's handler; one `prompt` record for each use, and errors as of resources. */
  prompt<Args>(
    name: string,
    handler: (args: Args, call: PromptCall<M>) => Promise<GetPromptResult>,
  ): ProtectedPrompt<Args>
  /**
   * Stands in front of the handlers that a new server gets from now on, and answers the server. Its lists show what the
   * caller may use or could with more scopes. Tools, resources and prompts that are not made with `tool`, `resource` and
   * `prompt` get the policy, the record and safe errors, too. Completions and subscriptions need what they are about.
   * @throws TypeError for a server that has something registered, or that declares tools, resources or prompts in the
   * capabilities that it is made with, for one with a `taskStore`, and for one that another `guard` stands in front of.
   */
  guard<S extends McpServer>(server: S): S
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
  const { settings, transports, gate, required, stepUp, handlers, requests } = protection<M, ToolContext>(options, {
    isLocal: ({ authInfo, requestInfo }) => authInfo === undefined && requestInfo === undefined,
    authInfo: ({ authInfo }) => authInfo,
    signal: ({ signal }) => signal,
    isAnswer: (error) => error instanceof McpError,
  })
  const { metadata, challenges, resource, log } = settings

  async function lackedScopes(session: Session, body: unknown): Promise<readonly string[] | undefined> {
    const scopes = new Set<string>()
    for (const operation of operationsIn(body))
      for (const scope of (await stepUp(operation, session)) ?? []) scopes.add(scope)
    return scopes.size === 0 ? undefined : [...scopes]
  }

  return {
    tool: (name, handler) => handlers.around('tool', name, handler),
    resource: (name, handler) => handlers.aroundResource(name, handler),
    prompt: (name, handler) => handlers.around('prompt', name, handler),
    guard: (server) => guardServer(server, requests, handlers.under),

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

const KINDS: Readonly<Record<string, Operation['kind']>> = { 'tools/call': 'tool', 'prompts/get': 'prompt' }

/** The tools that a parsed body calls, and the prompts that it asks for. What a URI is the name of, only a server knows. */
function operationsIn(body: unknown): readonly Operation[] {
  const found: Operation[] = []
  for (const message of Array.isArray(body) ? body : [body]) {
    const { method, params } = (message ?? {}) as { method?: unknown; params?: { name?: unknown } | null }
    const kind = typeof method === 'string' && Object.hasOwn(KINDS, method) ? KINDS[method] : undefined
    if (kind !== undefined && typeof params?.name === 'string') found.push({ kind, name: params.name })
  }
  return found
}
