import {
  type BearerCredential,
  DelegationError,
  type DelegationModule,
  type PrincipalRule,
  principalMapping,
  type SecretSource,
  secret,
  secretReader,
} from '@mcp-delegation/core'
import { z } from 'zod'

/** What a tool asks for. */
export interface DepotRequest {
  readonly project: string
}

export interface DepotOptions {
  /** The depot's own address. */
  readonly url: string
  /** The key with which this server may issue keys for users. */
  readonly operatorKey: SecretSource
  /** Who has which account at the depot. */
  readonly users: readonly PrincipalRule[]
}

const Request = z.strictObject({ project: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/) })
const Reply = z.object({ id: z.uuid(), key: z.string().min(16), expires: z.iso.datetime() })

/** Short-lived keys of the depot, each of the user who asks, for one project. */
export function depotKeys(options: DepotOptions): DelegationModule<DepotRequest, BearerCredential> {
  if (!URL.canParse(options.url)) throw new TypeError('"url" must be a URL')
  const operatorKey = secretReader(options.operatorKey, 'operatorKey')
  const { principal, linked } = principalMapping({ issuers: options.users, case: 'sensitive' })

  async function call(method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<Response> {
    const headers = { authorization: `Bearer ${await operatorKey({ signal })}`, 'content-type': 'application/json' }
    try {
      const request = { method, headers, signal, redirect: 'error' } as const
      return await fetch(
        new URL(path, options.url),
        body === undefined ? request : { ...request, body: JSON.stringify(body) },
      )
    } catch (cause) {
      signal.throwIfAborted()
      throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the depot could not be reached', { cause })
    }
  }

  async function withdraw(id: string, signal: AbortSignal): Promise<void> {
    const response = await call('DELETE', `/keys/${id}`, undefined, signal)
    await response.body?.cancel()
    if (!response.ok && response.status !== 404)
      throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', `the depot answered ${response.status}`)
  }

  return {
    type: 'depot',
    request: Request,
    reuse: 'user',
    maxAge: 15 * 60_000,
    target: ({ project }) => project,
    principal,
    linked,
    async issue({ project }, { principal, signal }) {
      signal.throwIfAborted()
      // The depot makes the key before it answers: a call that is given up half-way leaves a key that nobody knows.
      const id = crypto.randomUUID()
      try {
        const response = await call('PUT', `/keys/${id}`, { user: principal, project }, signal)
        if (response.status === 403)
          throw new DelegationError('ERR_DELEGATION_DENIED', 'the depot refuses this user for this project')
        if (!response.ok)
          throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', `the depot answered ${response.status}`)
        const reply = Reply.safeParse(await response.json())
        // The depot's answer may hold the key: it is not passed on as a cause.
        if (!reply.success) throw new DelegationError('ERR_DELEGATION_PROTOCOL', 'the depot gave no usable answer')
        return {
          value: { kind: 'bearer', token: secret(reply.data.key) },
          expiresAt: new Date(reply.data.expires),
          release: async (_reason, { signal }) => withdraw(id, signal),
        }
      } catch (error) {
        await withdraw(id, AbortSignal.timeout(5_000)).catch(() => {})
        throw error
      }
    },
  }
}
