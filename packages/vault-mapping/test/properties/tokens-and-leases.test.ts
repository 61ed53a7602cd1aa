import {
  DelegationError,
  type IssueContext,
  type IssuedCredential,
  type PasswordCredential,
  type ReleaseReason,
  type Session,
  secret,
} from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Engine } from '../../src/engine.ts'
import { issueCredential } from '../../src/issue-credential.ts'
import { revocationPermission } from '../../src/revocation-permission.ts'
import { Revocations } from '../../src/revocations.ts'
import type { Source } from '../../src/sources/source.ts'
import { ownTokens, type TokenOptions, userTokens } from '../../src/tokens.ts'
import { VaultError } from '../../src/vault-error.ts'
import { standInClient, testSurroundings } from '../stand-in.ts'
import { ModelServer, randoms, type ServerLease, type Terms } from './model-server.ts'
import { runs } from './runs.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const FAREWELL = 30 * SECOND
const USERS = 3
/** What the server's end of a lease may be later than ours: as long as a request takes. */
const ROUND_TRIP = 100
const NEW = { isReleased: false, isGivenBack: false }
const never = new AbortController().signal

interface Kept {
  readonly issued: IssuedCredential<PasswordCredential>
  readonly lease: ServerLease | undefined
  readonly owner: number
  until: number
  isReleased: boolean
  /** Its release has come back. */
  isGivenBack: boolean
}

/** A secret that is read, a lease, or a lease whose answer makes no sense. */
type How = 'read' | 'lease' | 'nonsense'

type Step =
  | { readonly do: 'issue'; readonly user: number; readonly how: How; readonly leaves: number | undefined }
  | { readonly do: 'release'; readonly which: number; readonly reason: ReleaseReason }
  | { readonly do: 'pass'; readonly time: number }
  | { readonly do: 'suspend'; readonly time: number }
  | { readonly do: 'storm' | 'calm' | 'halt' | 'restart' }
  | { readonly do: 'endSession' | 'block'; readonly user: number }
  | { readonly do: 'revokeToken' | 'revokeLease'; readonly which: number }

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** The module without its HTTP, a registry that does what it is told, and a server that knows everything. */
class House {
  readonly server: ModelServer
  readonly kept: Kept[] = []
  readonly problems: string[] = []
  readonly answered = new Set<string>()
  readonly #isPersonal: boolean
  readonly #terms: Terms
  readonly #closed = new AbortController()
  readonly #client
  readonly #revocations
  readonly #tokens
  readonly #engine: Engine
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #callers = new Map<AbortController, number>()
  readonly #sessions: { session: Session; coveredUntil: number }[] = []
  readonly #random: () => number
  #kills = 0
  /** Whether nothing can hold up the end of a lease. */
  #endsAtOnce: boolean

  constructor(terms: Terms, isPersonal: boolean, seed: number) {
    this.#random = randoms(seed)
    const server = new ModelServer(terms, this.#random)
    server.isCovered = (lease) => this.#isCovered(lease)
    this.server = server
    this.#isPersonal = isPersonal
    this.#terms = terms
    const { mayRevoke, saysSo } = terms
    this.#endsAtOnce = mayRevoke === saysSo && (mayRevoke || isPersonal)
    this.#client = standInClient((request, signal) => {
      server.watch(request)
      return server.reply(request, signal)
    })
    const surroundings = testSurroundings()
    this.#revocations = new Revocations(surroundings)
    const { signal } = this.#closed
    const made: TokenOptions = {
      ...{ client: this.#client, surroundings, revocations: this.#revocations, signal },
      ...{ prove: async () => {}, track: (work) => this.#track(work) },
    }
    for (let user = 0; user < USERS; user++) this.#sessions.push(this.#newSession(user))
    this.#tokens = isPersonal
      ? userTokens(
          { type: 'jwt', as: 'user', logIn: ({ id }) => server.logIn(id, signal) },
          { max: 2, maxIdle: MINUTE },
          made,
        )
      : ownTokens({ type: 'approle', as: 'self', owned: true, logIn: () => server.logIn('self', signal) }, made)
    const permission = revocationPermission(this.#client, signal)
    this.#engine = {
      ...surroundings,
      revocations: this.#revocations,
      isPersonal,
      revokesLeases: (token) => permission.ask(token.secret),
      cannotRevokeLeases: () => permission.deny(),
      send: (path, body, token, until = signal) =>
        this.#client.request({ method: 'PUT', path, body, token: token.secret, retry: false }, { signal: until }),
    }
  }

  #newSession(user: number): { session: Session; coveredUntil: number } {
    const life = [5 * SECOND, MINUTE, 60 * MINUTE][Math.floor(this.#random() * 3)] as number
    return { session: testSession({ subject: `user${user}` }), coveredUntil: Date.now() + life }
  }

  #track(work: Promise<unknown>): void {
    const settled: Promise<unknown> = work.then(
      () => this.#underWay.delete(settled),
      () => this.#underWay.delete(settled),
    )
    this.#underWay.add(settled)
  }

  #coveredUntil({ owner, isReleased }: Kept): number | undefined {
    const { coveredUntil = 0 } = this.#sessions[owner] ?? {}
    return isReleased || coveredUntil <= Date.now() ? undefined : coveredUntil
  }

  #isCovered(lease: ServerLease): boolean {
    return this.kept.some((one) => one.lease === lease && this.#coveredUntil(one) !== undefined)
  }

  #source(how: How, note: (leaseId: string) => void, count: () => void): Source<PasswordCredential> {
    return {
      ...{ type: 'test', leased: how !== 'read', claims: [] },
      obtain: async ({ make, read, clock }) => {
        count()
        if (how === 'read') await read('secret/data/x')
        else note((await make('engine/creds/x')).leaseId)
        if (how === 'nonsense') throw new DelegationError('ERR_DELEGATION_PROTOCOL', 'nonsense')
        const value = { kind: 'password', username: 'u', password: secret('p') } as const
        return { value, principal: 'u', expiresAt: clock.now() + 60 * MINUTE }
      },
    }
  }

  issue(user: number, how: How, leaves: number | undefined): void {
    const owner = user
    const { session } = this.#sessions[user] as { session: Session }
    const caller = new AbortController()
    const { signal } = caller
    this.#callers.set(caller, user)
    const timer = leaves === undefined ? undefined : setTimeout(() => caller.abort(new Error('gone')), leaves)
    const deadline = setTimeout(() => caller.abort(new Error('too late')), 10 * SECOND)
    let leaseId = ''
    let tries = 0
    const source = this.#source(
      how,
      (id) => (leaseId = id),
      () => tries++,
    )
    const context: IssueContext = { ...testSurroundings(), session, principal: 'u', signal }
    const surroundings = {
      ...{ client: this.#client, tokens: this.#tokens, engine: this.#engine, signal: this.#closed.signal },
      track: (work: Promise<unknown>) => this.#track(work),
    }
    const arrived = (issued: IssuedCredential<PasswordCredential>): void => {
      this.answered.add(leaseId)
      const lease = this.server.leases.find(({ id }) => id === leaseId)
      const kept: Kept = { issued, lease, owner, until: issued.expiresAt.getTime(), ...NEW }
      if (signal.aborted) return void this.#release(kept, 'aborted')
      this.kept.push(kept)
      this.#checkEnd(kept)
      const coveredUntil = (): number | undefined => this.#coveredUntil(kept)
      issued.retained?.({
        get coveredUntil() {
          const until = coveredUntil()
          return until === undefined ? undefined : new Date(until)
        },
        extend: (until) => {
          if (kept.isReleased) this.problems.push('what was released was extended')
          if (Date.now() < kept.until) kept.until = Math.max(kept.until, until.getTime())
          this.#checkEnd(kept)
        },
      })
    }
    const failed = (error: unknown): void => {
      const isReason = signal.aborted && error === signal.reason
      const isKnown = error instanceof VaultError || error instanceof DelegationError
      if (!isReason && !isKnown) this.problems.push(`a failure without a name: ${String(error)}`)
      // Two tokens must have been revoked for a refusal to be told, the first perhaps long ago.
      if (error instanceof VaultError && error.status === 403 && this.#kills < 2 && !this.#endsSoon)
        this.problems.push('a refusal that nobody made')
    }
    issueCredential(source, context, surroundings)
      .then(arrived, failed)
      .finally(() => {
        clearTimeout(timer)
        clearTimeout(deadline)
        this.#callers.delete(caller)
        if (tries > 2) this.problems.push('more than one new login')
      })
  }

  /** Tokens that end by themselves may do so at any moment. */
  get #endsSoon(): boolean {
    return this.server.tokens.some(({ until, max }) => max <= Date.now() || until <= Date.now())
  }

  /** Nothing is said to live longer than the server lets it. */
  #checkEnd({ issued, lease, until }: Kept): void {
    if (lease === undefined || issued.usable?.() !== true) return
    const end = Math.min(lease.until, lease.token.until)
    if (until > end) this.problems.push(`it is said to live ${until - end} ms longer than it does`)
  }

  #release(kept: Kept, reason: ReleaseReason): void {
    if (kept.isReleased) return
    kept.isReleased = true
    const released = kept.issued.release?.(reason, { signal: never }) ?? Promise.resolve()
    this.#track(
      released.then(() => {
        kept.isGivenBack = true
      }),
    )
  }

  release(which: number, reason: ReleaseReason): void {
    const open = this.kept.filter(({ isReleased }) => !isReleased)
    const kept = open[which % Math.max(open.length, 1)]
    if (kept !== undefined) this.#release(kept, reason)
  }

  block(user: number): void {
    const reason = new DelegationError('ERR_SESSION_BLOCKED', 'blocked')
    for (const [caller, whose] of [...this.#callers]) if (whose === user) caller.abort(reason)
    for (const kept of this.kept) if (kept.owner === user) this.#release(kept, 'revoked')
    this.#sessions[user] = this.#newSession(user)
  }

  endSession(user: number): void {
    ;(this.#sessions[user] as { coveredUntil: number }).coveredUntil = 0
  }

  kill(what: 'tokens' | 'leases', which: number): void {
    const all = this.server[what]
    const one = all[which % Math.max(all.length, 1)]
    if (one === undefined || one.endedBy !== undefined) return
    one.endedBy = 'operator'
    this.#kills++
  }

  /** What must hold at any time. */
  check(): void {
    this.problems.push(...this.server.problems.splice(0))
    for (const kept of this.kept) {
      const { issued, lease, isReleased } = kept
      if (!isReleased && (Date.now() >= kept.until || issued.usable?.() === false)) this.#release(kept, 'expired')
      if (lease === undefined) continue
      if (kept.isGivenBack && this.#endsAtOnce && this.server.exists(lease, ROUND_TRIP))
        this.problems.push('a lease outlives its release')
      if (isReleased) continue
      const { token } = lease
      const isServed = issued.usable?.() === true && Date.now() < kept.until
      if (isServed && (lease.endedBy === 'client' || token.endedBy === 'client'))
        this.problems.push('what is still served was revoked')
    }
    if (this.#isPersonal) return
    if ((this.server.loggingIn.get('self') ?? 0) > 1) this.problems.push('two logins at once')
  }

  async step(step: Step): Promise<void> {
    const { server } = this
    if (step.do === 'storm' || step.do === 'halt') this.#endsAtOnce = false
    if (step.do === 'issue') this.issue(step.user, step.how, step.leaves)
    else if (step.do === 'release') this.release(step.which, step.reason)
    else if (step.do === 'pass') await vi.advanceTimersByTimeAsync(step.time)
    else if (step.do === 'suspend') vi.setSystemTime(Date.now() + step.time)
    else if (step.do === 'storm' || step.do === 'calm') server.isStormy = step.do === 'storm'
    else if (step.do === 'halt' || step.do === 'restart') server.isDown = step.do === 'halt'
    else if (step.do === 'block') this.block(step.user)
    else if (step.do === 'endSession') this.endSession(step.user)
    else if (step.do === 'revokeToken') this.kill('tokens', step.which)
    else if (step.do === 'revokeLease') this.kill('leases', step.which)
    this.check()
  }

  /** The server is well, and nobody needs anything any more. */
  async quiet(): Promise<void> {
    this.server.isStormy = false
    this.server.isDown = false
    await vi.advanceTimersByTimeAsync(20 * SECOND)
    for (const kept of this.kept) this.#release(kept, 'evicted')
    this.check()
    // Until idle tokens have been swept, at the latest.
    await vi.advanceTimersByTimeAsync(100 * SECOND)
  }

  async dispose(): Promise<void> {
    for (const caller of [...this.#callers.keys()]) caller.abort(new Error('closed'))
    for (const kept of this.kept) this.#release(kept, 'disposed')
    if (this.server.isDown) this.#endsAtOnce = false
    const start = Date.now()
    let isDone = false
    const work = async (): Promise<void> => {
      this.#revocations.defer()
      while (this.#underWay.size > 0) await Promise.all(this.#underWay)
      await this.#tokens.dispose()
      await this.#revocations.drain(FAREWELL)
      this.#closed.abort(new Error('closed'))
      isDone = true
    }
    void work()
    while (!isDone && Date.now() < start + 2 * MINUTE) await vi.advanceTimersByTimeAsync(100)
    if (!isDone) this.problems.push('it does not end')
    await vi.advanceTimersByTimeAsync(10 * SECOND)
    this.check()
    if (vi.getTimerCount() > 0) this.problems.push(`${vi.getTimerCount()} timers are left`)
    if (this.#revocations.size > 0) this.problems.push('revocations are left')
  }

  /** What the server still has, and somebody should have ended. */
  left(mayKeepOwn: boolean): readonly string[] {
    const { tokens, leases } = this.server
    const { batch: isBatch, mayRevoke } = this.#terms
    const living = isBatch ? [] : tokens.filter((token) => this.server.lives(token) && !token.isLost)
    // What a batch token made ends by itself, unless it is known and may be revoked.
    const isOurs = ({ id }: ServerLease): boolean => !isBatch || (mayRevoke && this.answered.has(id))
    const leased = leases.filter((lease) => this.server.exists(lease) && isOurs(lease))
    const kept = mayKeepOwn && !this.#isPersonal ? living.slice(1) : living
    return [...kept.map(({ text }) => text), ...leased.map(({ id }) => id)]
  }
}

const arbTerms: fc.Arbitrary<Terms> = fc
  .record({
    tokenTtl: fc.constantFrom(2 * SECOND, 30 * SECOND, 15 * MINUTE),
    tokenMore: fc.constantFrom(1, 3, 100),
    leaseTtl: fc.constantFrom(SECOND, 20 * SECOND, 10 * MINUTE),
    leaseMore: fc.constantFrom(1, 3, 100),
    renewable: fc.boolean(),
    mayRevoke: fc.boolean(),
    saysSo: fc.constantFrom(true, false, undefined),
    batch: fc.constantFrom(false, false, false, true),
  })
  .map(({ tokenMore, leaseMore, saysSo, mayRevoke, ...terms }) => ({
    ...terms,
    tokenMaxTtl: terms.tokenTtl * tokenMore,
    leaseMaxTtl: terms.leaseTtl * leaseMore,
    mayRevoke,
    saysSo: saysSo === undefined || terms.batch ? mayRevoke : saysSo,
  }))

const reasons = ['expired', 'evicted', 'replaced', 'revoked', 'invalidated', 'aborted'] as const
const user = fc.nat(USERS - 1)
const which = fc.nat(50)
const arbStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      ...{
        do: fc.constant('issue' as const),
        user,
        how: fc.constantFrom<How[]>('lease', 'lease', 'lease', 'read', 'nonsense'),
      },
      leaves: fc.option(fc.constantFrom(0, 5, 20, 40, 80, 4_500), { nil: undefined, freq: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('release' as const), which, reason: fc.constantFrom(...reasons) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      time: fc.constantFrom(0, 3, 10, 30, 100, SECOND, 5 * SECOND, 20 * SECOND),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('suspend' as const), time: fc.constantFrom(SECOND, 5 * MINUTE) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('storm', 'calm', 'halt', 'restart') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('endSession', 'block'), user }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('revokeToken', 'revokeLease'), which }) },
)

test('whatever happens, Vault keeps nothing that nobody needs, and nothing is served that has ended', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    await fc.assert(
      fc.asyncProperty(
        arbTerms,
        fc.boolean(),
        fc.nat(),
        fc.boolean(),
        fc.array(arbStep, { minLength: 1, maxLength: 60, size: 'max' }),
        fc.constantFrom('quiet', 'busy', 'down'),
        async (terms, isPersonal, seed, stormy, steps, end) => {
          vi.clearAllTimers()
          const house = new House(terms, isPersonal, seed)
          if (stormy) await house.step({ do: 'storm' })
          for (const step of steps) await house.step(step)
          if (end === 'quiet') {
            await house.quiet()
            expect(house.left(true)).toEqual([])
          }
          house.server.isStormy = false
          house.server.isDown = end === 'down'
          await house.dispose()
          if (end !== 'down') expect(house.left(false)).toEqual([])
          expect(house.problems).toEqual([])
          expect(unhandled).toEqual([])
        },
      ),
      { ...runs(500), seed: Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31) },
    )
  } finally {
    process.off('unhandledRejection', note)
  }
}, 600_000)
