import type { Session } from '@mcp-delegation/core'
import type { VaultAuth } from './envelope.ts'
import type { LoginContext, OwnLogin, UserLogin } from './logins/login-method.ts'
import type { Revocations } from './revocations.ts'
import type { Surroundings } from './surroundings.ts'
import { unlessAborted } from './unless-aborted.ts'
import type { VaultClient } from './vault-client.ts'
import { VaultError } from './vault-error.ts'
import { VaultToken } from './vault-token.ts'

/** A token that does not go away while it is held. */
export interface HeldToken {
  readonly token: VaultToken
  /** Lets it go; resolves when it was given up, where it was the last to hold it. */
  end(): Promise<void>
}

/** The Vault tokens of this server. */
export interface Tokens {
  /**
   * The token to act with for a session; logs in where there is none, once for all who ask at the same time. Rejects with
   * a `VaultError` or a `DelegationError`, or with the signal's reason; then the login goes on for the others.
   */
  acquire(session: Session, signal: AbortSignal): Promise<HeldToken>
  /**
   * As `acquire`, but nobody else holds the token, nor gets it before its end: what is made with it can end alone. Unless
   * it is retired, it is for everybody again then. Absent where there is one token for all.
   */
  readonly acquireAlone?: (session: Session, signal: AbortSignal) => Promise<HeldToken>
  /** How many are kept. */
  readonly size: number
  /** Gives all up. */
  dispose(): Promise<void>
}

/** See {@link Tokens}. */
export interface OwnTokens extends Tokens {
  /** The session is of no interest. */
  acquire(session: Session | undefined, signal: AbortSignal): Promise<HeldToken>
}

/** What both kinds are made with. */
export interface TokenOptions {
  readonly client: VaultClient
  readonly surroundings: Surroundings
  readonly revocations: Revocations
  /** Aborted when the module has been disposed of. */
  readonly signal: AbortSignal
  /** Called before each login: rejects where the server must not be trusted with one. */
  readonly prove: (signal: AbortSignal) => Promise<void>
  /** Takes note of what has to be seen through before the module is closed. */
  readonly track: (work: Promise<unknown>) => void
}

/** Limits of {@link userTokens}. */
export interface UserTokenLimits {
  /** How many are kept that nothing depends on. */
  readonly max: number
  /** How long one is kept that nothing depends on, in milliseconds. */
  readonly maxIdle: number
}

/** One login that is under way, or its token. */
class Slot {
  #waiting = 0
  #token: VaultToken | undefined
  readonly #login: Promise<VaultToken>

  constructor(login: Promise<VaultToken>, token?: VaultToken) {
    this.#login = login
    this.#token = token
    if (token !== undefined) return
    login.then(
      (token) => {
        this.#token = token
        this.#giveUpUnwanted()
      },
      () => {},
    )
  }

  /** The token, once there is one. */
  get token(): VaultToken | undefined {
    return this.#token
  }

  /** Whether whoever comes now can be served from here. */
  get isOpen(): boolean {
    return this.#token === undefined || this.#token.isFresh
  }

  /** The token, where nobody has it, nor is going to. */
  get idle(): VaultToken | undefined {
    return this.#waiting === 0 && this.#token?.holds === 0 ? this.#token : undefined
  }

  async acquire(signal: AbortSignal): Promise<HeldToken> {
    if (this.#token !== undefined) return held(this.#token)
    this.#waiting++
    try {
      return held(await unlessAborted(this.#login, signal))
    } finally {
      this.#waiting--
      this.#giveUpUnwanted()
    }
  }

  /** Nobody waits any more: the user may have been blocked. */
  #giveUpUnwanted(): void {
    void this.idle?.retire()
  }
}

function held(token: VaultToken): HeldToken {
  return { token, end: token.hold() }
}

/** A token for each token of each user: what Vault allows is decided by the claims of that one. */
export function userTokens(method: UserLogin, limits: UserTokenLimits, options: TokenOptions): Tokens {
  const { surroundings } = options
  const made = new MadeTokens(options, true)
  /** By session id, the least recently used first. */
  const slots = new Map<string, Slot>()

  const giveUp = (id: string, slot: Slot): Promise<void> => {
    if (slots.get(id) === slot) slots.delete(id)
    return slot.token?.retire() ?? Promise.resolve()
  }
  const sweep = (): void => {
    const now = surroundings.clock.now()
    for (const [id, slot] of slots) {
      const token = slot.idle
      if (token === undefined) continue
      const over = slots.size > limits.max
      if (over || !token.isFresh || now >= token.idleSince + limits.maxIdle) void giveUp(id, slot)
    }
    if (slots.size === 0) stopSweeping()
  }
  let sweeping: NodeJS.Timeout | undefined
  const stopSweeping = (): void => {
    clearInterval(sweeping)
    sweeping = undefined
  }

  const logIn = (session: Session): Promise<VaultToken> => {
    const login = (async () => {
      await options.prove(options.signal)
      return made.logIn((context) => method.logIn(session, context))
    })()
    options.track(login)
    return login
  }
  const keep = (id: string, slot: Slot): void => {
    slots.set(id, slot)
    if (slots.size > limits.max) sweep()
    sweeping ??= setInterval(sweep, Math.min(limits.maxIdle, 60_000) / 2).unref()
  }
  /** Once nobody else has it, the token may be shared again. */
  const putBack = (id: string, token: VaultToken): void => {
    if (token.isFresh && !slots.has(id)) keep(id, new Slot(Promise.resolve(token), token))
    else void token.retire()
  }
  return {
    get size() {
      return slots.size
    },
    async acquire(session, signal) {
      signal.throwIfAborted()
      const known = slots.get(session.id)
      if (known?.isOpen === true) {
        slots.delete(session.id)
        slots.set(session.id, known)
        return known.acquire(signal)
      }
      if (known !== undefined) void giveUp(session.id, known)
      const login = logIn(session)
      const slot = new Slot(login)
      login.catch(() => giveUp(session.id, slot))
      keep(session.id, slot)
      return slot.acquire(signal)
    },
    async acquireAlone(session, signal) {
      signal.throwIfAborted()
      const known = slots.get(session.id)
      const idle = known?.isOpen === true ? known.idle : undefined
      if (idle !== undefined) slots.delete(session.id)
      const { token, end } = await (idle === undefined ? new Slot(logIn(session)).acquire(signal) : held(idle))
      return {
        token,
        end: () => {
          const ended = end()
          putBack(session.id, token)
          return ended
        },
      }
    },
    async dispose() {
      stopSweeping()
      slots.clear()
      await made.giveUp()
    },
  }
}

/** One token for everybody. */
export function ownTokens(method: OwnLogin, options: TokenOptions): OwnTokens {
  const made = new MadeTokens(options, method.owned)
  let current: Slot | undefined

  const isCurrent = async (slot: Slot, signal: AbortSignal): Promise<boolean> => {
    if (!slot.isOpen) return false
    if (slot.token === undefined || method.isCurrent === undefined) return true
    return method.isCurrent(slot.token.secret, { signal })
  }
  const logIn = async (): Promise<VaultToken> => {
    await options.prove(options.signal)
    return made.logIn((context) => method.logIn(context))
  }
  return {
    get size() {
      return current === undefined ? 0 : 1
    },
    async acquire(_session, signal) {
      signal.throwIfAborted()
      const known = current
      // While the file was read, it may have been given up, and somebody else may have logged in.
      if (known !== undefined && (await isCurrent(known, signal)) && known.isOpen) return known.acquire(signal)
      if (current !== undefined && current !== known && current.isOpen) return current.acquire(signal)
      void current?.token?.retire()
      const login = logIn()
      options.track(login)
      const slot = new Slot(login)
      current = slot
      login.catch(() => {
        if (current === slot) current = undefined
      })
      return slot.acquire(signal)
    },
    async dispose() {
      current = undefined
      await made.giveUp()
    },
  }
}

function loginContext({ client, surroundings, signal }: TokenOptions): LoginContext {
  return {
    clock: surroundings.clock,
    signal,
    present: (certificate) => client.present(certificate),
    post: (path, body) => client.request({ method: 'POST', path, body, retry: false }, { signal }),
    lookUp: (token) => lookUp(client, token, signal),
  }
}

/** What a token is, as a login would have answered. */
async function lookUp(client: VaultClient, token: VaultAuth['token'], signal: AbortSignal): Promise<VaultAuth> {
  const request = { method: 'GET', path: 'auth/token/lookup-self', token, retry: true } as const
  const { data, sentAt } = await client.request(request, { signal })
  const { ttl, renewable, accessor, policies, num_uses: uses } = data ?? {}
  if (typeof ttl !== 'number' || ttl < 0)
    throw new VaultError('malformed', 'the answer about a token does not say when it ends', { uncertain: false })
  return {
    token,
    accessor: typeof accessor === 'string' ? accessor : undefined,
    // A token without an end has the TTL 0.
    expiresAt: ttl === 0 && data?.['expire_time'] === null ? Number.POSITIVE_INFINITY : sentAt + ttl * 1000,
    renewable: renewable === true,
    uses: typeof uses === 'number' ? uses : 0,
    policies: Array.isArray(policies) ? policies.filter((policy) => typeof policy === 'string') : [],
    batch: data?.['type'] === 'batch',
  }
}

/** The tokens that were made of logins' answers, until they are given up. */
class MadeTokens {
  readonly #options: TokenOptions
  readonly #owned: boolean
  readonly #tokens = new Set<VaultToken>()

  /** Tokens that are not `owned` are not revoked, only forgotten. */
  constructor(options: TokenOptions, owned: boolean) {
    this.#options = options
    this.#owned = owned
  }

  /** A token that is not one to work with is given up, and the login fails as it says. */
  async logIn(login: (context: LoginContext) => Promise<VaultAuth>): Promise<VaultToken> {
    const context = loginContext(this.#options)
    let given: VaultAuth | undefined
    const post: LoginContext['post'] = async (path, body) => {
      const envelope = await context.post(path, body)
      given = envelope.auth
      return envelope
    }
    try {
      return this.#make(await login({ ...context, post }))
    } catch (error) {
      if (given !== undefined) await this.#make(given).giveUp()
      throw error
    }
  }

  #make(auth: VaultAuth): VaultToken {
    const { client, surroundings, signal } = this.#options
    const finish = (token: VaultToken): Promise<void> => this.#finish(token)
    const token = new VaultToken({ auth, client, clock: surroundings.clock, signal, owned: this.#owned, finish })
    this.#tokens.add(token)
    return token
  }

  /** Gives all up, also those that something depends on. */
  async giveUp(): Promise<void> {
    await Promise.all([...this.#tokens].map((token) => token.giveUp()))
  }

  async #finish(token: VaultToken): Promise<void> {
    this.#tokens.delete(token)
    if (!this.#owned || token.isOver) return
    const { client, revocations, surroundings } = this.#options
    const revoke = { method: 'POST', path: 'auth/token/revoke-self', token: token.secret, retry: false } as const
    await revocations.carryOut({
      // Later, where a renewal is still under way.
      get until() {
        return token.endsBy
      },
      attempt: async (signal) => {
        try {
          await client.request(revoke, { signal })
        } catch (error) {
          const { status } = error instanceof VaultError ? error : {}
          if (status !== 403 && status !== 400) throw error
          // Dead already, as a rule; else it is a batch token, or one that may not do this.
          surroundings.log.warn(
            { err: error },
            'a Vault token could not be revoked: it is gone already, or ends at its time',
          )
        }
      },
    })
  }
}
