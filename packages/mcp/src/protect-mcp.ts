import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ModuleMap } from '@mcp-delegation/core'
import { DelegationError } from '@mcp-delegation/core'
import {
  type AuthInfo,
  type CallToolResult,
  createRequestStateCodec,
  type GetPromptResult,
  type InputRequiredResult,
  type McpHttpHandler,
  type McpServer,
  ProtocolError,
  type ReadResourceResult,
  type RequestStateCodec,
  type ScopeChallengeHandler,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { toResponse, withHeaders } from './answer.ts'
import { authInfoOf, sessionOf } from './auth-info.ts'
import { BodyTooLarge, TOO_LARGE } from './body.ts'
import { headOf as headOfRequest, withMoreHeaders, withoutToken } from './fetch-http.ts'
import type { Call } from './guard.ts'
import { type Challenge, guardServer } from './guard-server.ts'
import type { ResourceCall as GuardedResourceCall, Handler, ResourceHandler } from './handlers.ts'
import { contentOf, headOf, type NodeRequest, sendAnswer, sendResponse, toRequest } from './node-http.ts'
import type { ProtectOptions } from './options.ts'
import { protection } from './protection.ts'

/** What a tool's handler is called with, besides its arguments. */
export type ToolCall<M extends ModuleMap> = Call<M, ServerContext>

/** What a resource's handler is called with, besides the URI. */
export type ResourceCall<M extends ModuleMap> = GuardedResourceCall<M, ServerContext>

/** What a prompt's handler is called with, besides its arguments. */
export type PromptCall<M extends ModuleMap> = Call<M, ServerContext>

/** What a tool answers. */
export type ToolResult = CallToolResult | InputRequiredResult

/** What a resource answers. */
export type ResourceResult = ReadResourceResult | InputRequiredResult

/** What a prompt answers. */
export type PromptResult = GetPromptResult | InputRequiredResult

/** A tool's handler as `registerTool` takes it; the SDK calls a tool without `inputSchema` with the context alone. */
export type ProtectedTool<Args> = Handler<Args, ServerContext, ToolResult>

/** A resource's handler as `registerResource` takes it, of a fixed URI and of a template. */
export type ProtectedResource = ResourceHandler<ServerContext, ResourceResult>

/** A prompt's handler as `registerPrompt` takes it; the SDK calls one without `argsSchema` with the context alone. */
export type ProtectedPrompt<Args> = Handler<Args, ServerContext, PromptResult>

/** A protected server of the MCP SDK's second generation. */
export interface ProtectedMcp<M extends ModuleMap> {
  /**
   * Stands around a tool's handler: a session in good standing, the policy, one audit record per call, and errors that
   * are safe to show. A `DelegationError` becomes a result with `isError`, its message, and its code in
   * `_meta["mcp-delegation/code"]`; any other error becomes "tool failed" and goes to the log. Leases that the handler
   * leaves open are disposed when it is done. `name` is what audit and policy call the tool.
   */
  tool<Args>(name: string, handler: (args: Args, call: ToolCall<M>) => Promise<ToolResult>): ProtectedTool<Args>
  /**
   * The same around a resource's handler, of a fixed URI or of a template; one `resource` record for each reading. Errors
   * are JSON-RPC errors with a safe message and the code in `data["mcp-delegation/code"]`; a `ProtocolError` reaches the
   * client as it is. `name` is the one under which the resource is registered.
   */
  resource(name: string, handler: (uri: URL, call: ResourceCall<M>) => Promise<ResourceResult>): ProtectedResource
  /** The same around a prompt's handler; one `prompt` record for each use, and errors as of resources. */
  prompt<Args>(name: string, handler: (args: Args, call: PromptCall<M>) => Promise<PromptResult>): ProtectedPrompt<Args>
  /**
   * Stands in front of the handlers that a new server gets from now on, and answers the server. Its lists show what the
   * caller may use or could with more scopes, and are for no shared cache. Tools, resources and prompts that are not made
   * with `tool`, `resource` and `prompt` get the policy, the record and safe errors, too. Completions and subscriptions
   * need what they are about. Where scopes are missing, the caller is asked to step up.
   * @throws TypeError for a server that has something registered, or that declares tools, resources or prompts in the
   * capabilities that it is made with, and for one that another `guard` stands in front of.
   */
  guard<S extends McpServer>(server: S): S
  /**
   * For the `scopeChallenge` of `registerTool`: asks a caller who lacks a scope to step up, with the base scopes and
   * this tool's in one challenge. Follows the hierarchy, asks the policy too, and audits the refusal.
   * @throws TypeError for what is not a scope, and where the tool was said to need other scopes.
   */
  scopes(name: string, ...scopes: readonly string[]): ScopeChallengeHandler
  /** The protected resource metadata where the request is for it, at either of its paths; undefined for any other. */
  metadata(request: Request): Response | undefined
  /** `handler` behind the gate, for servers that speak web-standard requests. Serves the metadata too. */
  fetch(handler: Pick<McpHttpHandler, 'fetch'>): (request: Request) => Promise<Response>
  /**
   * `handler` behind the gate, for Node's servers and the frameworks on top of them. Serves the metadata too. `body` is
   * what a body parser made of the request, where one has read it. Never rejects.
   */
  node(
    handler: Pick<McpHttpHandler, 'fetch'>,
  ): (request: IncomingMessage, response: ServerResponse, body?: unknown) => Promise<void>
  /**
   * For the `sessionIdGenerator` of a transport that keeps sessions: ids that only this caller can use. A request with
   * any other id is answered with 404.
   * @throws DelegationError `ERR_SESSION_INVALID` where `authInfo` is not from the gate.
   */
  sessionIdGenerator(authInfo: AuthInfo | undefined): () => string
  /**
   * For the `requestState` option of `McpServer`: state that goes through the client and comes back signed, in time,
   * and from the same user and method. It is signed, not encrypted.
   * @throws RangeError for a key of less than 32 bytes.
   * @throws TypeError for a `maxAge` that is not a positive number.
   * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
   */
  requestState<State>(options: RequestStateOptions): RequestStateCodec<State>
}

/** Options of {@link ProtectedMcp.requestState}. */
export interface RequestStateOptions {
  /** At least 32 bytes, the same in every process that may be asked. */
  readonly key: Uint8Array | string
  /** How long the state is good for, in milliseconds. Default: 600,000 (ten minutes). */
  readonly maxAge?: number | undefined
}

/**
 * Protects a server made with `createMcpHandler`: nobody reaches it without a verified session, and its tools get
 * credentials of their callers.
 * @throws TypeError naming the option that is wrong.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
 */
export function protectMcp<const M extends ModuleMap>(options: ProtectOptions<M>): ProtectedMcp<M> {
  const { settings, transports, gate, required, stepUp, handlers, requests } = protection<M, ServerContext>(options, {
    isLocal: ({ http }) => http === undefined,
    authInfo: ({ http }) => http?.authInfo,
    signal: ({ mcpReq }) => mcpReq.signal,
    isAnswer: (error) => error instanceof ProtocolError,
  })
  const { metadata, challenges, resource, maxBodySize, log } = settings
  const { origin } = new URL(resource)

  const challenge: Challenge =
    (operation) =>
    ({ authInfo, request }) => {
      const session = sessionOf(authInfo)
      const uri = operation.kind === 'resource' ? String(request.params?.['uri']) : undefined
      const lacked = session && stepUp({ ...operation, uri }, session)
      return lacked?.then(([first, ...others]) => (first === undefined ? undefined : { scopes: [first, ...others] }))
    }

  return {
    tool: (name, handler) => handlers.around('tool', name, handler),
    resource: (name, handler) => handlers.aroundResource(name, handler),
    prompt: (name, handler) => handlers.around('prompt', name, handler),
    guard: (server) => guardServer(server, requests, handlers.under, challenge),

    scopes(name, ...scopes) {
      required.require(name, scopes)
      return challenge({ kind: 'tool', name })
    },

    metadata(request) {
      const answer = metadata.answer(request.method, new URL(request.url).pathname)
      return answer && toResponse(answer)
    },

    fetch: (handler) => async (request) => {
      const admitted = await gate.admit(headOfRequest(request), request.signal)
      if ('status' in admitted) return toResponse(admitted)
      const authInfo = authInfoOf(admitted.session, resource, metadata.url)
      try {
        const forwarded = await withoutToken(request, maxBodySize)
        const response = await handler.fetch(forwarded.request, {
          authInfo,
          ...(forwarded.parsed !== undefined && { parsedBody: forwarded.parsed }),
        })
        return withMoreHeaders(response, admitted.headers)
      } catch (error) {
        if (error instanceof BodyTooLarge) return toResponse(withHeaders(TOO_LARGE, admitted.headers))
        throw error
      }
    },

    node: (handler) => async (request: NodeRequest, response, body) => {
      const gone = new AbortController()
      response.on('close', () => {
        if (!response.writableFinished) gone.abort()
      })
      let cors: Readonly<Record<string, string>> | undefined
      try {
        const admitted = await gate.admit(headOf(request), gone.signal)
        if ('status' in admitted) return sendAnswer(response, admitted)
        cors = admitted.headers
        const content = await contentOf(request, body, maxBodySize)
        const forwarded = toRequest(request, content, gone.signal, origin)
        if ('status' in forwarded) return sendAnswer(response, withHeaders(forwarded, cors))
        const answer = await handler.fetch(forwarded, {
          authInfo: authInfoOf(admitted.session, resource, metadata.url),
          ...(content.parsed !== undefined && { parsedBody: content.parsed }),
        })
        await sendResponse(response, answer, cors)
      } catch (error) {
        if (gone.signal.aborted) return
        const tooLarge = error instanceof BodyTooLarge
        if (!tooLarge) log.error({ err: error }, 'a request failed')
        if (response.headersSent) response.destroy()
        else sendAnswer(response, withHeaders(tooLarge ? TOO_LARGE : challenges.failed, cors))
      }
    },

    sessionIdGenerator: (authInfo) => transports.generator(sessionOf(authInfo)),

    requestState<State>({ key, maxAge = 600_000 }: RequestStateOptions): RequestStateCodec<State> {
      if (!Number.isFinite(maxAge) || maxAge <= 0)
        throw new TypeError('"maxAge" must be a positive number of milliseconds')
      return createRequestStateCodec<State>({ key, ttlSeconds: Math.ceil(maxAge / 1000), bind: holderOf })
    },
  }
}

/** Whom state belongs to: the user and the client, whatever the token; on stdio the one at the other end. */
function holderOf({ http, mcpReq }: ServerContext): string {
  if (http === undefined) return JSON.stringify([mcpReq.method])
  const session = sessionOf(http.authInfo)
  if (session === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the call has no session')
  return JSON.stringify([mcpReq.method, session.issuer, session.subject, session.clientId ?? null])
}
