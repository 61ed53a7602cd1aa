import { type Secret, secret } from '@mcp-delegation/core'
import type { VaultAuth, VaultEnvelope } from '../../src/envelope.ts'
import type { VaultRequest } from '../../src/vault-client.ts'
import { VaultError } from '../../src/vault-error.ts'
import { auth, type Reply, refusal } from '../stand-in.ts'

/** How the server gives tokens and leases; milliseconds. */
export interface Terms {
  readonly tokenTtl: number
  readonly tokenMaxTtl: number
  readonly leaseTtl: number
  readonly leaseMaxTtl: number
  readonly renewable: boolean
  /** Whether policies allow to revoke leases, and whether the server says so. */
  readonly mayRevoke: boolean
  readonly saysSo: boolean
  readonly batch: boolean
}

export interface ServerToken {
  readonly text: string
  /** Of the session that logged in. */
  readonly owner: string
  readonly max: number
  until: number
  endedBy: 'client' | 'operator' | undefined
  /** The answer to its login was lost: nobody can revoke it. */
  isLost: boolean
  /** Somebody has asked to revoke it. */
  isGivenUp: boolean
}

export interface ServerLease {
  readonly id: string
  readonly token: ServerToken
  readonly max: number
  until: number
  endedBy: 'client' | 'operator' | undefined
}

/** Numbers from 0 to 1, the same ones for the same seed. */
export function randoms(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** A server in memory, of which everything is known: it is slow, and in a storm it fails before or after it has worked. */
export class ModelServer {
  readonly tokens: ServerToken[] = []
  readonly leases: ServerLease[] = []
  readonly problems: string[] = []
  /** Logins under way, by their owners. */
  readonly loggingIn = new Map<string, number>()
  /** Asked before each renewal of a lease: whether a live session is served with it. */
  isCovered: (lease: ServerLease) => boolean = () => true
  isStormy = false
  isDown = false
  made = 0
  readonly #terms: Terms
  readonly #random: () => number

  constructor(terms: Terms, random: () => number) {
    this.#terms = terms
    this.#random = random
  }

  lives({ endedBy, until }: ServerToken): boolean {
    return endedBy === undefined && Date.now() < until
  }

  /** Whether a lease is there, and will be for more than `margin`. */
  exists({ endedBy, until, token }: ServerLease, margin = 0): boolean {
    return endedBy === undefined && Date.now() + margin < Math.min(until, token.until) && this.lives(token)
  }

  /** One request: it takes its time, and fails as it comes. */
  readonly reply: Reply = (request, signal) => this.#carry(request, signal, () => this.#answer(request))

  /** A login, whose token may never arrive. */
  async logIn(owner: string, signal: AbortSignal): Promise<VaultAuth> {
    this.loggingIn.set(owner, (this.loggingIn.get(owner) ?? 0) + 1)
    let given: ServerToken | undefined
    let hasArrived = false
    try {
      const answer = await this.#carry({ path: 'login' }, signal, () => {
        given = this.#newToken(owner)
        const { tokenTtl, batch } = this.#terms
        return { auth: auth(tokenTtl, { token: secret(given.text), batch, renewable: !batch }) }
      })
      hasArrived = true
      return answer.auth as VaultAuth
    } finally {
      if (given !== undefined && !hasArrived) given.isLost = true
      this.loggingIn.set(owner, (this.loggingIn.get(owner) ?? 0) - 1)
    }
  }

  async #carry(
    { path }: Pick<VaultRequest, 'path'>,
    signal: AbortSignal,
    work: () => Partial<VaultEnvelope>,
  ): Promise<Partial<VaultEnvelope>> {
    const sentAt = Date.now()
    const fate = this.#random()
    const [there, back] = [this.#random() * 30, this.#random() * 30]
    await pause(there, signal)
    if (this.isDown) throw new VaultError('unreachable', 'down', { uncertain: false })
    if (this.isStormy && fate < 0.1) throw new VaultError('unreachable', 'refused', { uncertain: false })
    if (this.isStormy && fate < 0.15) throw refusal(503)
    if (this.isStormy && fate < 0.2 && path.startsWith('engine/')) throw refusal(500)
    const answer = { ...work(), sentAt }
    if (answer.auth !== undefined)
      Object.assign(answer, { auth: { ...answer.auth, expiresAt: answer.auth.expiresAt - there } })
    if (this.isStormy && fate > 0.85) {
      await pause(5_000, signal)
      throw new VaultError('late', 'late', { uncertain: true })
    }
    await pause(this.isStormy && fate > 0.75 ? 4_000 : back, signal)
    return answer
  }

  #newToken(owner: string): ServerToken {
    const { tokenTtl, tokenMaxTtl } = this.#terms
    const now = Date.now()
    const token: ServerToken = {
      text: `token-${this.tokens.length}`,
      ...{ owner, max: now + tokenMaxTtl, until: now + tokenTtl },
      ...{ endedBy: undefined, isLost: false, isGivenUp: false },
    }
    this.tokens.push(token)
    return token
  }

  tokenOf(text: Secret<string> | undefined): ServerToken | undefined {
    return this.tokens.find((token) => token.text === text?.reveal())
  }

  /** What must not be sent at all. */
  watch(request: VaultRequest): void {
    const token = this.tokenOf(request.token)
    const { path } = request
    if (token === undefined) return
    const mayFollow = ['auth/token/revoke-self', 'auth/token/lookup-self', 'sys/leases/revoke']
    if (token.isGivenUp && !mayFollow.includes(path)) this.problems.push(`${path} with a token that was given up`)
    if (path === 'auth/token/revoke-self') token.isGivenUp = true
    if (path === 'sys/leases/renew') {
      const lease = this.#leaseOf(request)
      if (lease === undefined || !this.isCovered(lease)) this.problems.push('a renewal for nobody')
    }
    if (
      path === 'auth/token/renew-self' &&
      !this.leases.some((lease) => lease.token === token && this.isCovered(lease))
    )
      this.problems.push('a renewal of a token for nobody')
  }

  #leaseOf({ body }: VaultRequest): ServerLease | undefined {
    return this.leases.find(({ id }) => id === body?.['lease_id'])
  }

  #answer(request: VaultRequest): Partial<VaultEnvelope> {
    const token = this.tokenOf(request.token)
    if (token === undefined || !this.lives(token)) throw refusal(403)
    const now = Date.now()
    const { leaseTtl, leaseMaxTtl, renewable, mayRevoke, saysSo, batch } = this.#terms
    const asked = Number(request.body?.['increment'] ?? 0) * 1_000
    const lease = this.#leaseOf(request)
    switch (request.path) {
      case 'auth/token/lookup-self':
      case 'secret/data/x':
        return {}
      case 'sys/capabilities-self':
        return { data: { 'sys/leases/revoke': saysSo ? ['update'] : ['deny'] } }
      case 'auth/token/revoke-self':
        if (batch) throw refusal(400)
        token.endedBy = 'client'
        return {}
      case 'auth/token/renew-self':
        if (now >= token.max) throw refusal(500)
        token.until = Math.min(now + asked, token.max)
        return { auth: auth(token.until - now, { token: secret(token.text) }) }
      case 'engine/creds/x': {
        this.made++
        const made = { id: `lease-${this.leases.length}`, token, max: now + leaseMaxTtl, until: now + leaseTtl }
        this.leases.push({ ...made, endedBy: undefined })
        return { leaseId: made.id, leaseDuration: leaseTtl, renewable }
      }
      case 'sys/leases/renew':
        if (lease === undefined || !this.exists(lease)) throw refusal(400)
        lease.until = Math.min(now + asked, lease.max)
        return { leaseDuration: lease.until - now, renewable: true }
      case 'sys/leases/lookup':
        if (lease === undefined || !this.exists(lease)) throw refusal(400)
        return {}
      case 'sys/leases/revoke':
        if (!mayRevoke) throw refusal(403)
        if (lease !== undefined) lease.endedBy ??= 'client'
        return {}
      default:
        throw refusal(404)
    }
  }
}

function pause(wait: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, wait)
    signal.addEventListener('abort', stop, { once: true })
  })
}
