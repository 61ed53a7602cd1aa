import { vi } from 'vitest'
import type { DelegationModule } from '../../src/module.ts'
import { firstMapped } from '../../src/module.ts'
import { DelegationRegistry } from '../../src/registry.ts'
import type { Session } from '../../src/session.ts'
import { testSession } from '../../src/testing/test-session.ts'
import { Backend } from './backend.ts'
import {
  type Answer,
  type Call,
  type Issue,
  type Issued,
  LEASE_GRACE,
  type Observer,
  START,
  STUCK,
  type Value,
} from './books.ts'
import { keyOf, type Member, PEOPLE, type Person, PLACES, type Token } from './people.ts'
import type { Action, Setup } from './schedule.ts'
import { Sink } from './sink.ts'

const realImmediate = setImmediate

/** Lets every promise settle that can. */
function flush(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve))
}

/** The registry under test, with everything around it under control and written down. */
export class House {
  readonly setup: Setup
  readonly registry: DelegationRegistry<Record<string, DelegationModule<{ r: number }, Value>>>
  readonly tokens: Token[] = []
  readonly calls: Call[] = []
  readonly issues: Issue[] = []
  readonly issued: Issued[] = []
  readonly answers: Answer[] = []
  readonly sink = new Sink(this)
  readonly blocks = new Map<Person, { readonly until: number; certain: boolean }>()
  /** When a credential of a key was dropped because a backend refused it. */
  readonly invalidations = new Map<string, number>()
  readonly endedIds = new Set<string>()
  readonly endedSids = new Set<string>()
  readonly forbidden = new Set<Person>()
  readonly problems: string[] = []
  observer: Observer | undefined
  closed = false
  /** The number of the step that is being taken. */
  step = 0
  /** The latest time that the clock has shown. */
  latest: number = START
  #skew = 0
  readonly #backend = new Backend(this)
  #disposal: 'none' | 'under way' | 'done' = 'none'

  constructor(setup: Setup) {
    this.setup = setup
    const modules = Object.fromEntries(
      Object.entries(PLACES).map(([name, [first, second]]) => {
        const module = this.#backend.module(first as Member)
        return [name, second === undefined ? module : firstMapped(module, this.#backend.module(second))]
      }),
    ) as Record<string, DelegationModule<{ r: number }, Value>>
    this.registry = new DelegationRegistry({
      modules,
      audit: (record) => this.sink.write(record),
      policy: {
        tool: () => ({ allowed: true }),
        delegation: ({ session }) =>
          this.forbidden.has(this.tokenOf(session).person)
            ? { allowed: false, reason: 'forbidden' }
            : { allowed: true },
      },
      cache: { max: setup.max, maxPerUser: setup.maxPerUser, maxAge: setup.maxAge },
      clock: { now: () => this.now() },
    })
    for (const index of PEOPLE.keys())
      this.#newToken({ do: 'session', user: 2 * index, rights: 0, sid: 0, life: 3_600_000, kind: 'user' })
  }

  /** What the clock shows. */
  now(): number {
    return Date.now() + this.#skew
  }

  /** The time that has really passed. */
  elapsed(): number {
    return Date.now()
  }

  tokenOf(session: Session): Token {
    const token = this.tokens.find(({ session: { id } }) => id === session.id)
    if (token === undefined) throw new Error('a session that nobody made')
    return token
  }

  blocked(person: Person): 'yes' | 'maybe' | 'no' {
    const block = this.blocks.get(person)
    if (block === undefined || this.now() >= block.until) return 'no'
    return block.certain ? 'yes' : 'maybe'
  }

  ended(token: Token): boolean {
    const { session, sid, person } = token
    if (this.endedIds.has(session.id)) return true
    return sid !== undefined && (this.endedSids.has(sid) || this.endedSids.has(`${sid} of ${person.issuer}`))
  }

  /** The keys under which a call may be served: one for each member that may come to serve it. */
  keysOf({ token, place, request }: Pick<Call, 'token' | 'place' | 'request'>): readonly string[] {
    return (PLACES[place] ?? []).flatMap((member) => keyOf(member, token, request) ?? [])
  }

  pendingOn(key: string): readonly Call[] {
    return this.calls.filter((call) => call.state === 'pending' && this.keysOf(call).includes(key))
  }

  /** Runs of a module that hold a place: those that have not settled, and were not given up long ago. */
  running(member: Member): readonly Issue[] {
    return this.issues.filter(
      (issue) =>
        issue.member === member &&
        !issue.settled &&
        (issue.abortedAt === undefined || this.elapsed() < issue.abortedAt + STUCK),
    )
  }

  /** How many calls of a person wait for a module. */
  waiting(person: Person, place: string): number {
    return this.pending().filter((call) => call.place === place && call.token.person === person).length
  }

  openLeases(): readonly Call[] {
    return this.calls.filter((call) => call.state === 'served' && !call.disposed)
  }

  async run(action: Action): Promise<void> {
    this.step++
    switch (action.do) {
      case 'session':
        this.#newToken(action)
        break
      case 'delegate':
        this.#delegate(this.#token(action.session), action.module, action.request)
        break
      case 'again': {
        const call = lately(this.calls, action.call)
        if (call === undefined) break
        const { person, rights } = call.token
        const token = this.tokens.filter((other) => other.person === person && other.rights === rights).at(-1)
        this.#delegate(token, Object.keys(PLACES).indexOf(call.place), call.request)
        break
      }
      case 'burst': {
        const token = this.#token(action.session)
        for (let request = 0; request < action.count; request++) this.#delegate(token, action.module, 100 + request)
        break
      }
      case 'abort': {
        const call = pick(this.pending(), action.call)
        call?.met.add('abort')
        call?.controller.abort(new Error(`abort of ${call.tool}`))
        break
      }
      case 'settle':
        lately(this.unsettled(), action.issue)?.settle(action.how)
        break
      case 'settle all':
        for (const issue of this.unsettled()) issue.settle({ as: 'issued', life: 600_000, release: 'ok' })
        break
      case 'throw':
        this.#backend.throwOnce = action.at === 'once'
        break
      case 'dispose':
        this.#dispose(lately(this.openLeases(), action.lease))
        break
      case 'dispose all':
        for (const call of this.openLeases()) this.#dispose(call)
        break
      case 'invalidate':
        this.#invalidate(lately(this.openLeases(), action.lease))
        break
      case 'advance':
        await this.#advance(action.ms)
        break
      case 'ripen': {
        const issued = lately(
          this.issued.filter(({ good, releases }) => good && releases.length === 0),
          action.issued,
        )
        if (issued === undefined) break
        const life = Math.min(issued.expiresAt - issued.arrivedAt, this.setup.maxAge)
        await this.#advance(Math.max(0, Math.min(issued.arrivedAt + life * action.part - this.now(), 3_600_000)))
        break
      }
      case 'jump':
        this.#skew += action.ms
        // A block that was over may hold again.
        for (const call of this.pending()) this.#meet(call)
        break
      case 'block':
        await this.#block(this.#person(action.user), action.ms)
        break
      case 'unblock': {
        const person = this.#person(action.user)
        this.blocks.delete(person)
        this.forget(person)
        void this.registry.unblock({ issuer: person.issuer, subject: person.subject })
        break
      }
      case 'end':
        await this.#end(this.#token(action.session), action.by)
        break
      case 'forbid': {
        const person = this.#person(action.user)
        if (action.allowed) this.forbidden.delete(person)
        else this.forbidden.add(person)
        for (const call of this.pending()) if (call.token.person === person) call.met.add('forbid')
        break
      }
      case 'sink':
        this.sink.mode = action.mode
        break
      case 'let go':
        this.sink.letGo(action.accepted)
        break
      case 'close':
        this.close()
        break
    }
    await this.#settle()
  }

  /** Ends everything, and waits until it has ended. */
  async finish(): Promise<void> {
    await this.run({ do: 'sink', mode: 'accepts' })
    await this.run({ do: 'let go', accepted: true })
    await this.run({ do: 'settle all' })
    await this.run({ do: 'advance', ms: 15_000 })
    await this.run({ do: 'settle all' })
    await this.run({ do: 'close' })
    await this.run({ do: 'advance', ms: 40_000 })
    if (this.#disposal !== 'done') this.problems.push('the registry is never disposed')
  }

  close(): void {
    this.closed = true
    for (const call of this.pending()) call.met.add('close')
    if (this.#disposal !== 'none') return
    this.#disposal = 'under way'
    this.registry[Symbol.asyncDispose]().then(
      () => {
        this.#disposal = 'done'
      },
      (error: unknown) => {
        this.problems.push(`the registry's disposal was rejected: ${String(error)}`)
      },
    )
  }

  pending(): readonly Call[] {
    return this.calls.filter((call) => call.state === 'pending')
  }

  unsettled(): readonly Issue[] {
    return this.issues.filter((issue) => !issue.settled)
  }

  /** What a person was refused may not be remembered any more. */
  forget(person: Person): void {
    for (const answer of this.answers) if (answer.person === person) answer.forgottenIn ??= this.step
  }

  /** Lets promises settle, and keeps the books that only time changes. */
  async #settle(): Promise<void> {
    await flush()
    this.latest = Math.max(this.latest, this.now())
    for (const [, block] of this.blocks) if (this.now() >= block.until) block.certain = false
  }

  async #advance(ms: number): Promise<void> {
    let left = ms
    for (let count = 0; left > 0; count++) {
      const some = Math.min(left, count < 15 ? 1_000 : 60_000)
      vi.advanceTimersByTime(some)
      left -= some
      for (const call of this.pending()) this.#meet(call)
      await this.#settle()
    }
  }

  /** Odd numbers mean who asked last. */
  #person(number: number): Person {
    const last = number % 2 === 1 ? this.calls.at(-1)?.token.person : undefined
    return last ?? (pick(PEOPLE, number >> 1) as Person)
  }

  /** Odd numbers mean a token for which something is under way, or else the newest. */
  #token(number: number): Token {
    const choice = number >> 1
    if (number % 2 === 0) return pick(this.tokens, choice) as Token
    return pick(this.pending(), choice)?.token ?? (this.tokens.at(-1) as Token)
  }

  #newToken({ user, rights, sid, life, kind }: Extract<Action, { do: 'session' }>): void {
    const person = this.#person(user)
    const expiresAt = this.now() + life
    const session = testSession({
      issuer: person.issuer,
      subject: person.subject,
      kind,
      scopes: new Set(rights === 0 ? [] : ['write']),
      claims: sid === 0 ? {} : { sid: `login-${sid}` },
      issuedAt: new Date(this.now()),
      expiresAt: new Date(expiresAt),
    })
    const machine = kind === 'machine'
    this.tokens.push({
      session,
      person,
      rights: `${kind} ${rights}`,
      sid: sid === 0 ? undefined : `login-${sid}`,
      expiresAt,
      machine,
    })
  }

  #delegate(token: Token | undefined, module: number, request: number): void {
    if (token === undefined) return
    const place = pick(Object.keys(PLACES), module) as string
    const call: Call = {
      tool: `call ${this.calls.length}`,
      token,
      place,
      request,
      startedIn: this.step,
      startedAt: this.elapsed(),
      clockAtStart: this.now(),
      controller: new AbortController(),
      state: 'pending',
      endedIn: undefined,
      lease: undefined,
      disposed: false,
      credential: undefined,
      announces: undefined,
      error: undefined,
      crowd: this.waiting(token.person, place),
      forbidden: this.forbidden.has(token.person),
      met: new Set(),
      mustHit: this.#mustHit(token, place, request),
    }
    this.#meet(call)
    this.calls.push(call)
    const { signal } = call.controller
    this.registry.delegate(place, token.session, { r: request }, { signal, tool: call.tool }).then(
      (lease) => {
        call.state = 'served'
        call.endedIn = this.step
        call.lease = lease
        this.observer?.served(call, lease)
      },
      (error: unknown) => {
        call.state = 'failed'
        call.endedIn = this.step
        call.error = error
        this.observer?.failed(call, error)
      },
    )
  }

  /** Notes what now stands against a call. */
  #meet({ token, met }: Call): void {
    if (this.blocked(token.person) !== 'no') met.add('block')
    if (this.ended(token)) met.add('end')
    if (this.forbidden.has(token.person)) met.add('forbid')
    if (this.closed) met.add('close')
    if (this.now() >= token.expiresAt) met.add('expiry')
  }

  /** The credential that is in the cache for sure, and that this call may have. */
  #mustHit(token: Token, place: string, request: number): Issued | undefined {
    const [member, ...others] = PLACES[place] ?? []
    if (member === undefined || others.length > 0 || member.reuse === 'never') return undefined
    if (this.blocked(token.person) !== 'no' || this.ended(token) || this.forbidden.has(token.person)) return undefined
    if (this.closed || this.now() >= token.expiresAt || (token.machine && !member.shared)) return undefined
    const key = keyOf(member, token, request)
    return this.issued.find((issued) => issued.sure && issued.issue.key === key)
  }

  /** Whether a credential of this key is in the cache for sure. */
  isCached(key: string): boolean {
    const now = this.now()
    return this.issued.some(
      ({ sure, issue, expiresAt, arrivedAt }) =>
        sure && issue.key === key && now < expiresAt && now < arrivedAt + this.setup.maxAge,
    )
  }

  #dispose(call: Call | undefined): void {
    if (call?.lease === undefined) return
    call.disposed = true
    void call.lease[Symbol.asyncDispose]()
  }

  /** The backend refused a credential: it is dropped, unless another of its key was lately. */
  #invalidate(call: Call | undefined): void {
    if (call?.lease === undefined || call.credential === undefined) return
    const { n, issue, sure } = call.credential
    const last = this.invalidations.get(issue.key)
    const lately = last !== undefined && Math.abs(this.now() - last) < 10_000
    const before = this.#entries()
    call.lease.invalidate()
    const heeded = this.#entries() < before
    if (heeded && lately) this.problems.push(`credential ${n} is the second of its key that is invalidated`)
    if (sure && !lately && !heeded) this.problems.push(`credential ${n} is cached although it was invalidated`)
    if (!heeded) return
    this.invalidations.set(issue.key, this.now())
    call.credential.sure = false
    call.credential.invalidatedIn = this.step
  }

  #entries(): number {
    return Object.values(this.registry.stats()).reduce((sum, { entries }) => sum + entries, 0)
  }

  async #block(person: Person, ms: number | undefined): Promise<void> {
    const until = ms === undefined ? Number.POSITIVE_INFINITY : this.now() + ms
    this.blocks.set(person, { until, certain: true })
    this.forget(person)
    for (const call of this.pending()) if (call.token.person === person) call.met.add('block')
    for (const issued of this.issued) if (issued.issue.token.person === person) issued.sure = false
    const alive = this.issued.filter(
      ({ issue, good, releases }) => good && issue.token.person === person && releases.length === 0,
    )
    const { issuer, subject } = person
    let answered: number | undefined
    void this.registry
      .block({ issuer, subject }, { until: ms === undefined ? undefined : new Date(until) })
      .then(({ credentials }) => {
        answered = credentials
      })
    await this.#settle()
    for (const { n, releases } of alive)
      if (releases.length === 0) this.problems.push(`credential ${n} outlived the block of ${person.name}`)
    if (answered !== undefined && answered !== alive.length)
      this.problems.push(`the block of ${person.name} ended ${alive.length} credentials, and says ${answered}`)
  }

  async #end(token: Token, by: 'session' | 'sid' | 'id'): Promise<void> {
    const { session, sid, person } = token
    if (by === 'sid' && sid === undefined) return
    if (by !== 'sid') this.endedIds.add(session.id)
    // A session ends the login at its own issuer; a bare name, the logins of that name at every issuer.
    if (by !== 'id' && sid !== undefined) this.endedSids.add(by === 'sid' ? sid : `${sid} of ${person.issuer}`)
    for (const call of this.pending()) if (this.ended(call.token)) call.met.add('end')
    for (const issued of this.issued) if (issued.issue.token.person === person) issued.sure = false
    for (const issued of this.issued) if (issued.served.some((call) => this.ended(call.token))) issued.sure = false
    const which = by === 'session' ? session : by === 'id' ? { id: session.id } : { sid: sid as string }
    void this.registry.endSession(which)
    await this.#settle()
    const latest = Math.max(this.latest, this.now())
    for (const call of this.openLeases())
      if (this.ended(call.token) && latest < leaseEndOf(call) + LEASE_GRACE && reads(call))
        this.problems.push(`${call.tool} can be used after its session ended`)
    for (const { n, issue, good, releases, served } of this.issued) {
      if (!good || releases.length > 0) continue
      const asked = this.calls.filter((call) => this.keysOf(call).includes(issue.key)).map((call) => call.token)
      // A lease that was forgotten is no concern any more.
      const held = served.filter((call) => latest < leaseEndOf(call) + LEASE_GRACE).map((call) => call.token)
      const concerned = held.some(
        (cover) =>
          cover === token ||
          (by !== 'id' &&
            sid !== undefined &&
            cover.sid === sid &&
            (by === 'sid' || cover.person.issuer === person.issuer)),
      )
      if (concerned && [issue.token, ...asked].every((cover) => this.ended(cover) || this.now() >= cover.expiresAt))
        this.problems.push(`credential ${n} outlived the last session that covers it`)
    }
  }
}

function leaseEndOf({ lease }: Call): number {
  return lease?.expiresAt.getTime() ?? 0
}

/** Whether the value of a lease can still be read. */
export function reads({ lease }: Call): boolean {
  try {
    return lease?.value !== undefined
  } catch {
    return false
  }
}

/** Odd numbers mean the last. */
function lately<T>(list: readonly T[], number: number): T | undefined {
  return number % 2 === 1 ? list.at(-1) : pick(list, number >> 1)
}

function pick<T>(list: readonly T[], number: number): T | undefined {
  return list[number % list.length]
}
