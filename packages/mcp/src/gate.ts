import {
  type DelegationErrorCode,
  isDelegationError,
  isSession,
  type ModuleMap,
  type Session,
} from '@mcp-delegation/core'
import { type Answer, jsonAnswer, withHeaders } from './answer.ts'
import { readBearer } from './bearer.ts'
import type { Settings } from './options.ts'
import { corsHeaders } from './origin.ts'
import { authenticationRecord } from './records.ts'
import { askable } from './scopes.ts'
import type { TransportSessions } from './transport-session.ts'

/** The parts of a request that the gate looks at. */
export interface Head {
  readonly method: string
  /** Path and query, or the whole URL. */
  readonly url: string
  /** The `Authorization` header; a list where there are several. */
  readonly authorization: string | readonly string[] | undefined
  readonly origin: string | undefined
  /** The `Mcp-Session-Id` header. */
  readonly transportSession: string | undefined
  /** The `Access-Control-Request-Headers` header. */
  readonly requestedHeaders: string | undefined
}

/** A request that may go on. */
export interface Admitted {
  readonly session: Session
  /** What the answer needs so that a page of another origin can read it. */
  readonly headers: Readonly<Record<string, string>> | undefined
}

/** The gate in front of a server. Its answers are complete; whoever is admitted has a session in good standing. */
export interface Gate {
  /** Never rejects. Where the caller is gone, the answer has status 499. */
  admit(head: Head, signal?: AbortSignal): Promise<Admitted | Answer>
}

const FORBIDDEN_ORIGIN: Answer = jsonAnswer(403, {
  error: 'forbidden_origin',
  error_description: 'This origin may not call the server',
})
/** What makes a client begin a new transport session. */
const UNKNOWN_TRANSPORT_SESSION: Answer = jsonAnswer(404, {
  jsonrpc: '2.0',
  error: { code: -32001, message: 'Session not found' },
  id: null,
})
const RETRY_AFTER_SECONDS = 5
const GONE: Refusal = { answer: { status: 499, headers: {}, body: undefined }, code: undefined, reason: undefined }

interface Refusal {
  readonly answer: Answer
  readonly code: DelegationErrorCode | undefined
  /** For audit. */
  readonly reason: string | undefined
  readonly session?: Session | undefined
}

/** One of the two. */
type Judged =
  | { readonly session: Session; readonly refusal?: undefined }
  | { readonly session?: undefined; readonly refusal: Refusal }

/** Metadata, origin, token, standing, transport session, base scopes: in this order. */
export function createGate<M extends ModuleMap>(settings: Settings<M>, transports: TransportSessions): Gate {
  const { verifier, registry, baseScopes, hierarchy, metadata, challenges, origins, log, clock } = settings

  const MALFORMED: Judged = {
    refusal: {
      answer: challenges.malformed,
      code: 'ERR_SESSION_INVALID',
      reason: 'the request does not carry one bearer token in its Authorization header',
    },
  }

  async function verify(
    token: string,
    transportSession: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Judged> {
    try {
      return judge(await verifier.verify(token, { signal }), transportSession)
    } catch (error) {
      return { refusal: signal?.aborted === true ? GONE : refusalOf(error) }
    }
  }

  function refusalOf(error: unknown): Refusal {
    if (!isDelegationError(error)) {
      log.error({ err: error }, 'the verifier failed')
      return { answer: challenges.failed, code: undefined, reason: 'the verifier failed' }
    }
    const { code, retryAfter, message: reason } = error
    const wait = retryAfter === undefined ? RETRY_AFTER_SECONDS : Math.ceil((retryAfter.getTime() - clock.now()) / 1000)
    const seconds = Math.max(1, wait)
    switch (code) {
      case 'ERR_SESSION_INVALID':
      case 'ERR_SESSION_EXPIRED':
        log.debug({ err: error }, 'a token was refused')
        return { answer: challenges.invalidToken, code, reason }
      case 'ERR_SESSION_SCOPE':
        return {
          answer: challenges.insufficientScope([...new Set([...baseScopes, ...askable(error.scopes)])]),
          code,
          reason,
        }
      case 'ERR_SESSION_BLOCKED':
      case 'ERR_DELEGATION_DENIED':
        return { answer: challenges.accessDenied, code, reason }
      case 'ERR_DELEGATION_UNAVAILABLE':
        log.warn({ err: error }, 'callers cannot be verified')
        return { answer: challenges.unavailable(seconds), code, reason }
      case 'ERR_RATE_LIMITED':
        return { answer: challenges.tooMany(seconds), code, reason }
      default:
        log.error({ err: error }, 'the verifier failed')
        return { answer: challenges.failed, code, reason }
    }
  }

  function judge(session: unknown, transportSession: string | undefined): Judged {
    // A literal may say anything about itself: none of it goes on record.
    if (!isSession(session)) {
      const reason = 'the verifier made no session'
      return { refusal: { answer: challenges.invalidToken, code: 'ERR_SESSION_INVALID', reason } }
    }
    const refused = (code: DelegationErrorCode, reason: string, answer: Answer): Judged => ({
      refusal: { answer, code, reason, session },
    })
    let standing: ReturnType<typeof registry.standing>
    try {
      standing = registry.standing(session)
    } catch (error) {
      return { refusal: { ...refusalOf(error), session } }
    }
    if (standing === 'blocked') return refused('ERR_SESSION_BLOCKED', 'the user is blocked', challenges.accessDenied)
    if (standing === 'ended') return refused('ERR_SESSION_INVALID', 'the session was ended', challenges.invalidToken)
    if (clock.now() >= session.expiresAt.getTime())
      return refused('ERR_SESSION_EXPIRED', 'the session has expired', challenges.invalidToken)
    if (transportSession !== undefined && !transports.belongs(session, transportSession))
      return refused('ERR_SESSION_INVALID', 'the transport session is not of this caller', UNKNOWN_TRANSPORT_SESSION)
    if (!hierarchy.covers(session.scopes, baseScopes))
      return refused('ERR_SESSION_SCOPE', 'a base scope is missing', challenges.insufficientScope(baseScopes))
    return { session }
  }

  async function record({ code, reason, session }: Refusal, startedAt: number): Promise<void> {
    const durationMs = performance.now() - startedAt
    try {
      await registry.audit(authenticationRecord({ session, now: clock.now(), durationMs, code, reason }))
    } catch (error) {
      log.error({ err: error, code }, 'a refusal could not be recorded')
    }
  }

  return {
    async admit(head, signal) {
      const described = metadata.answer(head.method, pathOf(head.url))
      if (described !== undefined) return described
      if (!origins.allows(head.origin)) {
        log.debug({ origin: head.origin }, 'a page of a foreign origin was refused')
        return FORBIDDEN_ORIGIN
      }
      const cors = corsHeaders(origins, head.origin)
      if (cors !== undefined && head.method === 'OPTIONS') return preflight(cors, head.requestedHeaders)

      const bearer = readBearer(head.authorization, head.url)
      if (bearer.token === undefined && bearer.problem === 'none') return withHeaders(challenges.missing, cors)
      const startedAt = performance.now()
      const { session, refusal } =
        bearer.token === undefined ? MALFORMED : await verify(bearer.token, head.transportSession, signal)
      if (session !== undefined) return { session, headers: cors }
      if (refusal !== GONE) await record(refusal, startedAt)
      return withHeaders(refusal.answer, cors)
    },
  }
}

const HEADER_NAMES = /^[\w-]+(?:, *[\w-]+)*$/

/** Lets a page of an allowed origin send what it asks to send; the token is checked when it comes. */
function preflight(cors: Readonly<Record<string, string>>, requestedHeaders: string | undefined): Answer {
  const allowed = requestedHeaders !== undefined && HEADER_NAMES.test(requestedHeaders) ? requestedHeaders : undefined
  return {
    status: 204,
    headers: {
      ...cors,
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': allowed ?? 'authorization, content-type, mcp-protocol-version, mcp-session-id',
    },
    body: undefined,
  }
}

/** The path of a URL, or of a path with a query. */
function pathOf(url: string): string {
  const path = url.startsWith('/') ? url : url.slice(url.indexOf('://') + 3).replace(/^[^/?#]*/, '')
  const end = path.search(/[?#]/)
  return end < 0 ? path : path.slice(0, end)
}
