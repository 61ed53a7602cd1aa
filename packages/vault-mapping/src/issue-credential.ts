import {
  DelegationError,
  type IssueContext,
  type IssuedCredential,
  isDelegationError,
  type ReleaseReason,
  type Session,
} from '@mcp-delegation/core'
import type { Engine } from './engine.ts'
import { HeldLease } from './held-lease.ts'
import { type EngineLease, leaseOf, type Obtained, type Source, type SourceContext } from './sources/source.ts'
import type { HeldToken, Tokens } from './tokens.ts'
import { unlessAborted } from './unless-aborted.ts'
import type { VaultClient } from './vault-client.ts'
import { VaultError } from './vault-error.ts'

const ENDED: ReadonlySet<string> = new Set(['ERR_SESSION_BLOCKED', 'ERR_SESSION_INVALID'])

/** What a credential is issued with. */
export interface IssueSurroundings {
  readonly client: VaultClient
  readonly tokens: Tokens
  readonly engine: Engine
  /** Aborted when the module has been disposed of. */
  readonly signal: AbortSignal
  /** Takes note of what has to be seen through before the module is closed. */
  readonly track: (work: Promise<unknown>) => void
}

/**
 * Obtains a credential from `source`; logs in anew, once, where the token that it was tried with is dead. What was begun at
 * the server is seen through after an abort, and given back. Rejects with a `VaultError` or a `DelegationError`, or with
 * the signal's reason.
 */
export async function issueCredential<Value>(
  source: Source<Value>,
  { session, principal, signal, clock }: IssueContext,
  surroundings: IssueSurroundings,
): Promise<IssuedCredential<Value>> {
  const who = { principal, issuer: session.issuer, subject: session.subject }
  const attempt = async (): Promise<IssuedCredential<Value>> => {
    const held = await tokenFor(source, session, signal, surroundings)
    return new Making(held, signal, surroundings).run(source, who, clock)
  }
  const retryDead = async (): Promise<IssuedCredential<Value>> => {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof DeadToken)) throw error
      return await attempt()
    }
  }
  const issuing = retryDead()
  surroundings.track(
    issuing.then(
      (late) => (signal.aborted ? late.release?.(endOf(signal), { signal: surroundings.signal }) : undefined),
      () => {},
    ),
  )
  try {
    return await unlessAborted(issuing, signal)
  } catch (error) {
    throw error instanceof DeadToken ? error.cause : error
  }
}

/**
 * A token to obtain a credential with: where only its end can end a lease, one that no other lease needs. Rejects with
 * `ERR_DELEGATION_PROTOCOL` where nothing could end it.
 */
async function tokenFor(
  { leased }: Source<unknown>,
  session: Session,
  signal: AbortSignal,
  { tokens, engine }: IssueSurroundings,
): Promise<HeldToken> {
  const held = await tokens.acquire(session, signal)
  if (!leased || (tokens.acquireAlone === undefined && !held.token.isBatch)) return held
  if (await engine.revokesLeases(held.token)) return held
  if (engine.isPersonal && signal.aborted && endOf(signal) === 'revoked') void held.token.retire()
  await held.end()
  if (tokens.acquireAlone === undefined || held.token.isBatch) {
    const message = 'the Vault token is a batch token, and may not revoke leases: nothing could end what it makes'
    throw new DelegationError('ERR_DELEGATION_PROTOCOL', message)
  }
  return tokens.acquireAlone(session, signal)
}

/** Why what arrives after an abort is given back: with the user, or the session, ends what was logged in for them. */
function endOf({ reason }: AbortSignal): ReleaseReason {
  return isDelegationError(reason) && ENDED.has(reason.code) ? 'revoked' : 'aborted'
}

/** Vault refused a token that it does not know any more: nothing was done. */
class DeadToken extends Error {
  override readonly name = 'DeadToken'
}

/** One try with one token. */
class Making {
  readonly #held: HeldToken
  readonly #signal: AbortSignal
  readonly #surroundings: IssueSurroundings
  /** What the server leased in this try. */
  readonly #leases: EngineLease[] = []

  constructor(held: HeldToken, signal: AbortSignal, surroundings: IssueSurroundings) {
    this.#held = held
    this.#signal = signal
    this.#surroundings = surroundings
  }

  async run<Value>(
    source: Source<Value>,
    who: SourceContext['who'],
    clock: SourceContext['clock'],
  ): Promise<IssuedCredential<Value>> {
    const { client } = this.#surroundings
    const token = this.#held.token.secret
    const make: SourceContext['make'] = async (path, body) => {
      this.#signal.throwIfAborted()
      return this.#make(path, body)
    }
    const signal = this.#signal
    const read: SourceContext['read'] = (path, query) =>
      client.request({ method: 'GET', path, query, token, retry: true }, { signal })
    try {
      return await this.#issued(await source.obtain({ who, clock, read, make }))
    } catch (error) {
      const failure = await this.#meaningOf(error)
      await this.#giveBack()
      throw failure
    }
  }

  async #make(path: string, body: Readonly<Record<string, unknown>> | undefined): ReturnType<SourceContext['make']> {
    const { client, signal } = this.#surroundings
    const { token } = this.#held
    const method = body === undefined ? 'GET' : 'POST'
    try {
      const envelope = await client.request({ method, path, body, token: token.secret, retry: false }, { signal })
      const lease = leaseOf(envelope)
      if (lease !== undefined) this.#leases.push(lease)
      return envelope
    } catch (error) {
      // It may have made a lease that nobody knows of, which ends with the token. With 500 the server says that its
      // engine failed, as where a database is down: it has no lease then.
      if (error instanceof VaultError && error.uncertain && error.status !== 500) void token.retire()
      throw error
    }
  }

  /** A 403 is said of a dead token, too. Where nobody can tell, that is the failure: an outage is no refusal. */
  async #meaningOf(error: unknown): Promise<unknown> {
    if (!(error instanceof VaultError) || error.status !== 403) return error
    try {
      const isDead = await this.#held.token.askWhetherDead()
      return isDead ? new DeadToken('the token is dead', { cause: error }) : error
    } catch (unknown) {
      return unknown
    }
  }

  async #giveBack(): Promise<void> {
    const { engine } = this.#surroundings
    const reason = this.#signal.aborted ? endOf(this.#signal) : 'aborted'
    for (const lease of this.#leases) await new HeldLease(lease, this.#holdAgain(), engine).end(reason)
    if (reason === 'revoked' && engine.isPersonal) void this.#held.token.retire()
    await this.#held.end()
  }

  #holdAgain(): HeldToken {
    const { token } = this.#held
    return { token, end: token.hold() }
  }

  async #issued<Value>({ value, principal, expiresAt }: Obtained<Value>): Promise<IssuedCredential<Value>> {
    const { token } = this.#held
    const { engine } = this.#surroundings
    const [lease, ...others] = this.#leases
    if (others.length > 0) throw new Error('a source has made more than one lease')
    if (lease === undefined) {
      await this.#held.end()
      const release = async (reason: ReleaseReason): Promise<void> => {
        // The user was blocked: so is what was logged in for them.
        if (reason === 'revoked' && engine.isPersonal) await token.retire()
      }
      return { value, principal, expiresAt: new Date(expiresAt), release }
    }
    // With a token that may not revoke leases, the lease ends with the token, and with nothing else.
    if (engine.isPersonal && !(await engine.revokesLeases(token))) void token.retire()
    const leased = new HeldLease(lease, this.#held, engine)
    return {
      value,
      principal,
      expiresAt: new Date(Math.min(expiresAt, leased.expiresAt)),
      usable: () => leased.isLive,
      retained: (retention) => leased.renewFor(retention),
      release: (reason) => leased.end(reason),
    }
  }
}
