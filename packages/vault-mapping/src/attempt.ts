import type { Answer, Connections, Outgoing } from './connections.ts'
import { envelopeOf, isRecord, isTokenText, textsOf, type VaultEnvelope } from './envelope.ts'
import type { Nodes } from './nodes.ts'
import { isRequestPath, isRequestQuery, queryOf, shownPath } from './request-path.ts'
import { retryAtOf } from './retry-after.ts'
import { plain, serverTexts } from './server-texts.ts'
import { createSlots, type Slots } from './slots.ts'
import { transportFault } from './transport-fault.ts'
import type { VaultClientOptions, VaultRequest } from './vault-client.ts'
import { VaultError, type VaultErrorDetails, type VaultErrorKind } from './vault-error.ts'

/**
 * Sends a request once, or twice where a node points to another, and resolves with what came of it. Rejects with the
 * signal's reason. The time to wait for a free connection is not part of the try's.
 */
export type Attempt = (
  request: VaultRequest,
  address: string,
  signal: AbortSignal,
) => Promise<VaultEnvelope | VaultError>

interface Circumstances {
  readonly request: VaultRequest
  readonly by: string
  readonly sentAt: number
  readonly now: number
  readonly fail: Fail
}

type Fail = (kind: VaultErrorKind, text: string, details: VaultErrorDetails) => VaultError

/** Statuses from which it is concluded what there is at the server, and who may have it. */
const MEANT: ReadonlySet<number> = new Set([400, 403, 404])
const LATE: unique symbol = Symbol('late')

export function createAttempt(options: VaultClientOptions, connections: Connections, nodes: Nodes): Attempt {
  const { addresses, timeout, clock } = options
  const slots = new Map(addresses.map((address) => [address, createSlots(options.connections)]))

  const exchange = async (
    request: VaultRequest,
    outgoing: Outgoing,
    address: string,
    { limit, signal }: { readonly limit: AbortSignal; readonly signal: AbortSignal },
  ): Promise<VaultEnvelope | VaultError> => {
    const sentAt = clock.now()
    let by = address
    let outcome = await connections.exchange(by, outgoing, limit)
    const leader = 'answer' in outcome ? leaderOf(outcome.answer, by, outgoing.path, addresses) : undefined
    if (leader !== undefined) {
      by = leader
      outcome = await connections.exchange(by, outgoing, limit)
    }
    const fail = failing(request, by)
    if ('answer' in outcome) {
      const { status } = outcome.answer
      if (serves(status)) nodes.answered(by)
      else nodes.failed(address)
      return read(outcome.answer, { request, by, sentAt, now: clock.now(), fail })
    }
    const { fault, sent: uncertain } = outcome
    if (signal.aborted) throw signal.reason
    nodes.failed(address)
    if (fault === LATE) return fail('late', `no answer within ${timeout} ms`, { uncertain })
    const { kind, text, cause } = transportFault(fault)
    return fail(kind, text, { uncertain, cause })
  }

  return async (request, address, signal) => {
    const outgoing = outgoingOf(request, options)
    if (outgoing instanceof VaultError) return outgoing
    const leave = await (slots.get(address) as Slots).enter(signal)
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(LATE), timeout)
    const stop = (): void => limit.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      signal.throwIfAborted()
      return await exchange(request, outgoing, address, { limit: limit.signal, signal })
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      leave()
    }
  }
}

function outgoingOf(request: VaultRequest, options: VaultClientOptions): Outgoing | VaultError {
  const { method, path, query = {}, body, root = false, namespace = options.namespace } = request
  const token = request.token?.reveal()
  const unsent = { uncertain: false }
  if (!isRequestPath(path) || !isRequestQuery(query))
    return new VaultError('malformed', `${method}: the path is not one that is sent`, unsent)
  if (token !== undefined && !isTokenText(token))
    return new VaultError('malformed', `${method} ${shownPath(path)}: the token is not one that HTTP can carry`, unsent)
  return {
    method,
    path: `/v1/${path}${queryOf(query)}`,
    headers: {
      'x-vault-request': 'true',
      ...(token === undefined ? {} : { 'x-vault-token': token }),
      ...(namespace === undefined || root ? {} : { 'x-vault-namespace': namespace }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  }
}

function failing({ method, path }: VaultRequest, by: string): Fail {
  return (kind, text, details) => new VaultError(kind, `${method} ${shownPath(path)} at ${by}: ${text}`, details)
}

/** Whether a node that answers so does its work: the request may still be a wrong one. */
function serves(status: number): boolean {
  return (status >= 200 && status < 300) || (status >= 400 && status < 500 && status !== 472 && status !== 473)
}

/** Where a node points to: another of the addresses, and the same path there. */
function leaderOf(
  { status, headers }: Answer,
  by: string,
  path: string,
  addresses: readonly string[],
): string | undefined {
  const target = locationOf(headers, by)
  if ((status !== 307 && status !== 308) || target === undefined) return undefined
  const { origin, username, password, pathname, search } = target
  const isSame = pathname + search === path && username === '' && password === ''
  return isSame && origin !== by && addresses.includes(origin) ? origin : undefined
}

function locationOf(headers: Answer['headers'], by: string): URL | undefined {
  const { location } = headers
  return typeof location === 'string' && URL.canParse(location, by) ? new URL(location, by) : undefined
}

function read({ status, headers, body }: Answer, circumstances: Circumstances): VaultEnvelope | VaultError {
  const { request, by, sentAt, now, fail } = circumstances
  if (status >= 300 && status < 400) {
    const to = locationOf(headers, by)?.origin ?? 'nowhere'
    return fail('redirected', `${status}: it points to ${plain(to)}, or to another path`, { status, uncertain: false })
  }
  const json = parsed(body)
  if (status >= 200 && status < 300) {
    const isEmpty = body.length === 0 && (status === 202 || status === 204)
    const envelope = envelopeOf(isEmpty ? {} : json, sentAt)
    return envelope ?? fail('malformed', `${status}: the answer is not what the API says`, { status, uncertain: true })
  }
  if (MEANT.has(status) && !isRefusal(json)) {
    const advice = by.startsWith('http:') ? '; does it speak https there?' : ''
    const text = `${status}: it is not Vault who says so: the answer is not what the API says${advice}`
    return fail('malformed', text, { uncertain: false })
  }
  const errors = isRecord(json) ? textsOf(json['errors']) : []
  const texts = serverTexts([...errors, ...stateOf(json)], { token: request.token?.reveal(), body: request.body })
  return fail('status', texts === '' ? `${status}` : `${status}: ${texts}`, {
    status,
    uncertain: status >= 500,
    reasons: errors.length,
    retryAt: status === 429 || status === 503 ? retryAtOf(headers['retry-after'], now) : undefined,
    envelope: isRecord(json) && 'data' in json ? envelopeOf(json, sentAt) : undefined,
  })
}

/** What `sys/health` says where a node does not serve, besides its status. */
function stateOf(json: unknown): readonly string[] {
  if (!isRecord(json)) return []
  if (json['initialized'] === false) return ['Vault is not initialized']
  return json['sealed'] === true ? ['Vault is sealed'] : []
}

/** Whether an answer is in the form in which Vault says no: a proxy before it says so in its own. */
function isRefusal(json: unknown): boolean {
  return isRecord(json) && (Array.isArray(json['errors']) || 'data' in json)
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined
  }
}
