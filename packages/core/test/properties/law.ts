import type { DelegationRecord } from '../../src/audit.ts'
import { type DelegationError, isDelegationError } from '../../src/errors.ts'
import type { Credential } from '../../src/lease.ts'
import type { ReleaseReason } from '../../src/module.ts'
import { type Call, DEADLINE, type Issue, type Issued, type Observer, type Value } from './books.ts'
import { type House, reads } from './house.ts'
import { keyOf, type Member, PEOPLE, PLACES } from './people.ts'

const LEASE_GRACE = 60_000
const COVER_GRACE = 60_000
const NEGATIVE = 30_000
const PER_USER = 2
const QUEUED_PER_USER = 20
/** Two sweeps, and the end of the timer's second. */
const SWEEP = 3_000

/** What must hold at every moment, from the design alone: it knows nothing of the registry's inside. */
export class Law implements Observer {
  readonly #house: House
  readonly #problems: string[]

  constructor(house: House) {
    this.#house = house
    this.#problems = house.problems
    house.observer = this
  }

  issueStarted(issue: Issue): void {
    const { member, token, key, n } = issue
    const house = this.#house
    if (house.now() >= token.expiresAt) this.#broken(`issue ${n} is for a session that has expired`)
    if (house.blocked(token.person) === 'yes') this.#broken(`issue ${n} is for a blocked user`)
    if (house.ended(token)) this.#broken(`issue ${n} is for a session that was ended`)
    if (house.closed) this.#broken(`issue ${n} begins after the registry was closed`)
    if (token.machine && !member.shared) this.#broken(`issue ${n} lets a machine act as a user`)
    const running = house.running(member)
    if (member.reuse !== 'never' && running.some((other) => other !== issue && other.key === key))
      this.#broken(`issue ${n} is the second in flight for ${key}`)
    if (running.length > house.setup.maxConcurrent) this.#broken(`issue ${n} is beyond the limit of ${member.type}`)
    if (running.filter((other) => other.token.person === token.person).length > PER_USER)
      this.#broken(`issue ${n} is beyond the limit of ${token.person.name}`)
  }

  served(call: Call, lease: Credential<Value>): void {
    const house = this.#house
    const { token, tool, controller } = call
    let issued: Issued | undefined
    try {
      issued = house.issued[lease.value.n]
    } catch (error) {
      this.#broken(`${tool} was served with a credential that can't be read: ${String(error)}`)
      return
    }
    if (issued === undefined) {
      this.#broken(`${tool} was served with something that nobody issued`)
      return
    }
    const { issue } = issued
    const member = issue.member
    const wrong = (what: string): void => this.#broken(`${tool} was served with credential ${issued.n}: ${what}`)
    if (!house.keysOf(call).includes(issue.key)) wrong(`it is of ${issue.key}`)
    if (issue.token.person !== token.person) wrong(`it belongs to ${issue.token.person.name}`)
    const expected = PLACES[call.place]?.find((candidate) => candidate.principal(token.person) !== undefined)
    if (member !== expected && !this.#wasAnswered(call, expected, 'ERR_DELEGATION_NO_IDENTITY'))
      wrong(`it came from ${member.type}`)
    if (!member.shared)
      for (const other of house.issued)
        if (other.served.length > 0 && other.issue.member === member && other.issue.token.person !== token.person)
          if (member.principal(other.issue.token.person) === lease.principal) wrong(`so was ${other.n}, for another`)
    if (issued.unrecordedIn !== undefined && issued.unrecordedIn < call.startedIn) wrong('its issue is not recorded')
    if (issued.invalidatedIn !== undefined && issued.invalidatedIn < call.startedIn) wrong('the backend refuses it')
    if (lease.principal !== member.principal(token.person)) wrong(`the lease names ${lease.principal}`)
    if (lease.type !== member.type) wrong(`the lease names ${lease.type}`)
    if (token.machine && !member.shared) wrong('a machine acts as a user')
    if (member.reuse === 'never' && issued.served.length > 0) wrong('it was for one call')
    if (!issued.good) wrong('it came too late, or was malformed')
    if (issued.releases.length > 0) wrong('it had been released')
    const end = Math.min(issued.expiresAt, issued.arrivedAt + house.setup.maxAge)
    if (house.now() >= end) wrong('it had expired')
    if (house.now() >= token.expiresAt) wrong('the session had expired')
    if (lease.expiresAt.getTime() > Math.min(end, token.expiresAt)) wrong('the lease ends too late')
    if (house.blocked(token.person) === 'yes') wrong('the user is blocked')
    if (house.ended(token)) wrong('the session was ended')
    if (controller.signal.aborted) wrong('the caller had aborted')
    if (call.forbidden) wrong('the policy refuses')
    if (house.closed) wrong('the registry is closed')
    if (call.mustHit !== undefined && call.mustHit !== issued && !call.met.has('sink'))
      wrong(`credential ${call.mustHit.n} is in the cache`)
    const first = issued.served.length === 0
    issued.served.push(call)
    call.credential = issued
    const roomy = house.setup.max > 100 && house.setup.maxPerUser > 90
    if (
      roomy &&
      first &&
      member.reuse !== 'never' &&
      issued.invalidatedIn === undefined &&
      issued === this.#newest(issue.key)
    )
      issued.sure = !this.#crowded(issued)
    this.#recorded(call, issued, undefined)
  }

  failed(call: Call, error: unknown): void {
    const { tool, controller } = call
    if (controller.signal.aborted && error === controller.signal.reason) {
      this.#recorded(call, undefined, undefined)
      return
    }
    if (!isDelegationError(error)) {
      this.#broken(`${tool} failed with ${String(error)}`)
      return
    }
    if (!this.#justified(call, error))
      this.#broken(`${tool} failed with ${error.code} (${error.message}) for no reason`)
    this.#recorded(call, undefined, error)
    if (error.code === 'ERR_AUDIT_FAILED') this.#unrecorded(call)
  }

  released(issued: Issued): void {
    const { n, releases } = issued
    const [release, second] = releases
    if (release !== undefined && !this.#fits(issued, release.reason))
      this.#broken(`credential ${n} was released as ${release.reason}`)
    if (second !== undefined) this.#broken(`credential ${n} was released twice`)
    if (release === undefined || release.reason === 'revoked') return
    const house = this.#house
    if (house.closed) return
    const latest = Math.max(house.latest, house.now())
    for (const { lease, tool } of release.openLeases)
      if (lease !== undefined && latest < lease.expiresAt.getTime() + LEASE_GRACE)
        this.#broken(`credential ${n} was released (${release.reason}) while ${tool} was using it`)
  }

  /** Whether the reason of a release is what happened. */
  #fits(issued: Issued, reason: ReleaseReason): boolean {
    const house = this.#house
    const { issue, good, served } = issued
    const { setup } = house
    const newest = this.#newest(issue.key)
    switch (reason) {
      case 'expired': {
        const covers = served.map(({ token }) => token).filter((token) => !house.ended(token))
        const covered = Math.max(...covers.map((token) => token.expiresAt), Number.NEGATIVE_INFINITY) + COVER_GRACE
        const latest = Math.max(house.latest, house.now())
        return latest >= Math.min(issued.expiresAt, issued.arrivedAt + setup.maxAge, covered)
      }
      case 'evicted':
        return setup.max < 100 || setup.maxPerUser < 90 || this.#crowded(issued)
      case 'replaced':
        return newest !== undefined && newest.n > issued.n
      case 'revoked':
        return (
          house.blocks.has(issue.token.person) ||
          [issue.token, ...served.map(({ token }) => token)].some((token) => house.ended(token))
        )
      case 'invalidated':
        return issued.invalidatedIn !== undefined
      case 'disposed':
        return house.closed || issue.member.reuse === 'never'
      case 'aborted':
        return (
          !good ||
          house.calls.some(({ met }) => met.has('sink')) ||
          house.sink.entries.some(({ state }) => state !== 'accepted')
        )
    }
  }

  /** What must hold when everything has settled that can. */
  steady(): void {
    this.#nobodyWaitsForNothing()
    this.#nobodyIssuesForNobody()
    this.#nothingIsKept()
    this.#limits()
    this.#books()
  }

  /** What must hold when the registry is disposed and everything has ended. */
  finished(): void {
    const house = this.#house
    for (const { tool, state } of house.calls) if (state === 'pending') this.#broken(`${tool} never settled`)
    for (const { n, releases } of house.issued)
      if (releases.length !== 1) this.#broken(`credential ${n} was released ${releases.length} times`)
    for (const [name, stats] of Object.entries(house.registry.stats()))
      if (stats.entries !== 0 || stats.leases !== 0 || stats.queued !== 0)
        this.#broken(`${name} ends with ${JSON.stringify(stats)}`)
    for (const { record } of house.sink.entries)
      if (record.event === 'delegation' && !house.calls.some(({ tool }) => tool === record.tool))
        this.#broken(`a record of ${record.tool}, which nobody made`)
    const refreshes = house.sink.entries.filter(({ record }) => record.event === 'refresh').length
    const unasked = house.issues.filter((issue) => issue.unasked).length
    if (refreshes < unasked) this.#broken(`${unasked} issues were refreshes, and ${refreshes} are recorded`)
    if (refreshes > house.calls.length) this.#broken(`${refreshes} refreshes are recorded`)
  }

  /** One record for each attempt, before its end, and it says what the caller saw. */
  #recorded(call: Call, issued: Issued | undefined, error: DelegationError | undefined): void {
    const house = this.#house
    const { tool, token } = call
    const entries = house.sink.entries.filter(({ record }) => record.event === 'delegation' && record.tool === tool)
    const [entry] = entries
    if (entry === undefined || entries.length !== 1) {
      this.#broken(`${tool} has ${entries.length} records`)
      return
    }
    const { record, state } = entry
    if (record.event !== 'delegation') return
    const wrong = (what: string): void =>
      this.#broken(`${tool} (${issued === undefined ? (error?.code ?? 'abort') : 'served'}) is recorded with ${what}`)
    if (record.issuer !== token.person.issuer || record.subject !== token.person.subject) wrong('somebody else')
    if (record.sessionId !== token.session.id) wrong('another session')
    if (record.module !== call.place) wrong(`module ${record.module}`)
    if (issued !== undefined) {
      if (state !== 'accepted') wrong(`a record that was not accepted: ${state}`)
      if (record.code !== undefined) wrong(record.code)
      if (record.principal !== call.lease?.principal) wrong(`principal ${record.principal}`)
      if (record.type !== issued.issue.member.type) wrong(`type ${record.type}`)
      if (record.target !== `target-${call.request}`) wrong(`target ${record.target}`)
      const others = issued.served.filter((other) => other !== call)
      const announced = others.some((other) => this.#recordOf(other)?.outcome === 'issued')
      if (record.outcome === 'issued') {
        if (issued.arrivedIn < call.startedIn) wrong('an issue that was over before')
        if (announced) wrong('a second issue of it')
      } else if (record.outcome !== 'reused') wrong(record.outcome)
      else if (!this.#wasAnnounced(issued) && !this.#wasRefreshed(issued)) wrong('the reuse of what was never issued')
      return
    }
    // Between the record of a success and its acceptance the caller may be refused after all.
    const accepting = record.outcome === 'issued' || record.outcome === 'reused'
    if (accepting && call.met.size > 0 && (call.met.has('sink') || error?.code === 'ERR_AUDIT_FAILED')) return
    if (accepting && this.#house.sink.mode !== 'accepts' && call.met.size > 0) return
    if (error === undefined) {
      if (record.outcome !== 'aborted' || record.code !== undefined) wrong(`${record.outcome} ${record.code}`)
      return
    }
    const failure = ['ERR_DELEGATION_UNAVAILABLE', 'ERR_DELEGATION_PROTOCOL', 'ERR_AUDIT_FAILED'].includes(error.code)
    if (record.code !== error.code) wrong(String(record.code))
    if (record.outcome !== (failure ? 'failed' : 'refused')) wrong(record.outcome)
  }

  #recordOf({ tool }: Call): DelegationRecord | undefined {
    for (const { record } of this.#house.sink.entries)
      if (record.event === 'delegation' && record.tool === tool) return record
    return undefined
  }

  /** Whether a record says that it, or another of its key, was issued for a call. */
  #wasAnnounced({ issue }: Issued): boolean {
    const house = this.#house
    return house.calls.some(
      (call) => house.keysOf(call).includes(issue.key) && this.#recordOf(call)?.outcome === 'issued',
    )
  }

  /** Whether a record says that a refresh has brought it. */
  #wasRefreshed({ issue }: Issued): boolean {
    return this.#house.sink.entries.some(
      ({ record }) =>
        record.event === 'refresh' &&
        record.outcome === 'issued' &&
        record.issuer === issue.token.person.issuer &&
        record.subject === issue.token.person.subject &&
        record.type === issue.member.type &&
        record.target === `target-${issue.request}`,
    )
  }

  /** What this call was the first to get is known to nobody: it must not be kept. */
  #unrecorded(call: Call): void {
    const house = this.#house
    if (this.#recordOf(call)?.outcome !== 'issued') return
    const keys = house.keysOf(call)
    const issued = house.issued.findLast(({ good, issue }) => good && keys.includes(issue.key))
    if (issued !== undefined && issued.arrivedIn >= call.startedIn) issued.unrecordedIn = house.step
  }

  /** Whether the design gives a reason for this refusal. */
  #justified(call: Call, error: DelegationError): boolean {
    const house = this.#house
    const { token, met, place } = call
    const [member] = PLACES[place] as readonly [Member]
    const wasAnswered = (PLACES[place] ?? []).some((each) => this.#wasAnswered(call, each, error.code))
    if (wasAnswered) return true
    switch (error.code) {
      case 'ERR_SESSION_EXPIRED':
        return met.has('expiry')
      case 'ERR_SESSION_BLOCKED':
        return met.has('block')
      case 'ERR_SESSION_INVALID':
        return met.has('end')
      case 'ERR_DELEGATION_NO_IDENTITY':
        return false
      case 'ERR_DELEGATION_DENIED': {
        if (met.has('forbid') || token.machine) return true
        const others = house.calls.filter((other) => other.place === place && other.token.person !== token.person)
        return (
          member.type === 'clash' &&
          others.some((other) => member.principal(other.token.person) === member.principal(token.person))
        )
      }
      case 'ERR_RATE_LIMITED':
        return Math.max(call.crowd, house.waiting(token.person, place)) >= QUEUED_PER_USER
      case 'ERR_DELEGATION_UNAVAILABLE':
        return met.has('close') || met.has('sink') || this.#timedOut(call) || this.#expiredMeanwhile(call)
      case 'ERR_AUDIT_FAILED':
        return met.has('sink')
      default:
        return false
    }
  }

  /** Whether the module has answered so to this key: while the call was under way, or so lately that it is remembered. */
  #wasAnswered(call: Call, member: Member | undefined, code: string): boolean {
    const key = member === undefined ? undefined : keyOf(member, call.token, call.request)
    const house = this.#house
    const definite = code === 'ERR_DELEGATION_NO_IDENTITY' || code === 'ERR_DELEGATION_DENIED'
    const remembers = definite && member?.reuse !== 'never'
    const now = [call.clockAtStart, house.now()]
    return house.answers.some((answer) => {
      if (answer.key !== key || answer.code !== code) return false
      if (answer.givenIn >= call.startedIn) return true
      if (!remembers || (answer.forgottenIn !== undefined && answer.forgottenIn < call.startedIn)) return false
      return now.some((time) => Math.abs(time - answer.clockAt) <= NEGATIVE)
    })
  }

  #timedOut(call: Call): boolean {
    const house = this.#house
    const keys = new Set(house.keysOf(call))
    return house.calls.some(
      (other) =>
        house.elapsed() - other.startedAt >= DEADLINE &&
        house.elapsed() - other.startedAt <= 3 * DEADLINE &&
        house.keysOf(other).some((key) => keys.has(key)),
    )
  }

  /** Whether a credential of this key came to its end while the caller was waiting for it. */
  #expiredMeanwhile(call: Call): boolean {
    const house = this.#house
    const keys = house.keysOf(call)
    return house.issued.some(
      ({ issue, expiresAt, arrivedAt }) =>
        keys.includes(issue.key) &&
        house.now() >= Math.min(expiresAt, arrivedAt + house.setup.maxAge, call.token.expiresAt),
    )
  }

  #newest(key: string): Issued | undefined {
    return this.#house.issued.filter(({ issue, good }) => good && issue.key === key).at(-1)
  }

  #crowded({ issue }: Issued): boolean {
    const { person } = issue.token
    const mine = this.#house.issued.filter(
      (other) => other.releases.length === 0 && other.issue.token.person === person,
    )
    return mine.length > 90
  }

  /** Whoever waits, waits for something. */
  #nobodyWaitsForNothing(): void {
    const house = this.#house
    for (const call of house.pending()) {
      const keys = new Set(house.keysOf(call))
      const recorded = house.sink.entries.some(
        ({ record, state }) => record.event === 'delegation' && record.tool === call.tool && state === 'held',
      )
      const waits = house.issues.some((issue) => keys.has(issue.key) && !issue.settled)
      const full = (PLACES[call.place] ?? []).some((member) => {
        const running = house.running(member)
        const mine = running.filter(({ token }) => token.person === call.token.person)
        return running.length >= house.setup.maxConcurrent || mine.length >= PER_USER
      })
      const releasing = house.issued.some(
        ({ issue, hangs, releases: [release] }) =>
          keys.has(issue.key) && hangs && release !== undefined && house.elapsed() <= release.at + DEADLINE,
      )
      if (!recorded && !waits && !full && !releasing) this.#broken(`${call.tool} waits for nothing`)
      if (house.closed && !recorded && !releasing) this.#broken(`${call.tool} waits for a closed registry`)
    }
  }

  /** A run that nobody waits for is aborted. */
  #nobodyIssuesForNobody(): void {
    const house = this.#house
    for (const issue of house.unsettled()) {
      if (issue.abortedAt !== undefined || issue.unasked) continue
      const waiting = house.pendingOn(issue.key)
      const refreshes = waiting.length === 0 && this.#mayRefresh(issue)
      if (waiting.length === 0 && !refreshes) this.#broken(`issue ${issue.n} goes on for nobody`)
      if (house.blocked(issue.token.person) === 'yes') this.#broken(`issue ${issue.n} goes on for a blocked user`)
    }
  }

  /** Whether a call that was served at once may have started this run. */
  #mayRefresh(issue: Issue): boolean {
    return this.#house.calls.some(
      (call) =>
        call.state !== 'pending' && call.startedIn === issue.startedIn && this.#house.keysOf(call).includes(issue.key),
    )
  }

  /** What is of no use any more is given back soon. */
  #nothingIsKept(): void {
    const house = this.#house
    for (const issued of house.issued) {
      if (issued.releases.length > 0) continue
      const { n, issue, good } = issued
      if (!good) {
        this.#broken(`credential ${n}, which came too late or was malformed, was kept`)
        continue
      }
      if (house.blocked(issue.token.person) === 'yes') this.#broken(`credential ${n} of a blocked user was kept`)
      const now = house.now()
      const covers = house.calls
        .filter((call) => house.keysOf(call).includes(issue.key))
        .map(({ token }) => token.expiresAt)
      const end = Math.min(
        issued.expiresAt,
        issued.arrivedAt + house.setup.maxAge,
        Math.max(...covers, issue.token.expiresAt) + COVER_GRACE,
      )
      const used = house
        .openLeases()
        .some(
          ({ credential, lease }) =>
            credential === issued && lease !== undefined && now < lease.expiresAt.getTime() + LEASE_GRACE,
        )
      const recorded = house.pendingOn(issue.key).length > 0
      if (now < end) {
        issued.overdueSince = undefined
        if (now >= issued.arrivedAt + house.setup.maxAge) issued.sure = false
      } else issued.sure = false
      if (now < end || used || recorded) issued.overdueSince = undefined
      else issued.overdueSince ??= house.elapsed()
      if (issued.overdueSince !== undefined && house.elapsed() > issued.overdueSince + SWEEP)
        this.#broken(`credential ${n} was kept long after its end`)
      const served = Math.max(...issued.served.map(({ token }) => token.expiresAt), Number.NEGATIVE_INFINITY)
      if (now >= served + COVER_GRACE) issued.sure = false
      if (issue.member.reuse === 'never' && !used && !recorded && !this.#leasedBeyondGrace(issued))
        this.#broken(`credential ${n} was for one call, and outlives it`)
    }
  }

  #leasedBeyondGrace(issued: Issued): boolean {
    return this.#house.openLeases().some(({ credential }) => credential === issued)
  }

  /** Whether somebody has to wait for a turn. */
  #isFull(member: Member): boolean {
    const running = this.#house.running(member)
    if (running.length >= this.#house.setup.maxConcurrent) return true
    return PEOPLE.some((person) => running.filter(({ token }) => token.person === person).length >= PER_USER)
  }

  #limits(): void {
    const house = this.#house
    const idle = house.issued.filter(
      (issued) =>
        issued.releases.length === 0 &&
        issued.good &&
        house.pendingOn(issued.issue.key).length === 0 &&
        !house.openLeases().some(({ credential }) => credential === issued),
    )
    if (idle.length > house.setup.max) this.#broken(`${idle.length} credentials are cached`)
    for (const { person } of house.tokens) {
      const mine = idle.filter(({ issue }) => issue.token.person === person)
      if (mine.length > house.setup.maxPerUser) this.#broken(`${mine.length} credentials of ${person.name} are cached`)
    }
  }

  #books(): void {
    const house = this.#house
    const stats = Object.values(house.registry.stats())
    const sum = (name: 'entries' | 'leases'): number => stats.reduce((total, each) => total + each[name], 0)
    for (const each of stats)
      if (Object.values(each).some((count) => count < 0)) this.#broken(`negative counts: ${JSON.stringify(each)}`)
    const kept = house.issued.filter(({ good, releases }) => good && releases.length === 0).length
    if (sum('entries') > Math.min(kept, house.setup.max))
      this.#broken(`${sum('entries')} of ${kept} entries are counted`)
    const pending = house.pending().length
    for (const [place, { queued }] of Object.entries(house.registry.stats()))
      if (queued > 0 && !(PLACES[place] ?? []).some((member) => this.#isFull(member)))
        this.#broken(`${queued} issues of ${place} wait for nothing`)
    const open = house.openLeases().filter(({ credential }) => credential?.releases.length === 0)
    if (sum('leases') > open.length + pending) this.#broken(`${sum('leases')} of ${open.length} leases are counted`)
    const fresh = open.filter(
      ({ lease }) => lease !== undefined && house.latest < lease.expiresAt.getTime() + LEASE_GRACE,
    )
    if (sum('leases') < fresh.length) this.#broken(`${sum('leases')} of ${fresh.length} leases are counted`)
    for (const call of open) {
      const { person } = call.token
      if (house.blocked(person) === 'yes' && reads(call)) this.#broken(`${call.tool} can be used by a blocked user`)
    }
  }

  #broken(what: string): void {
    this.#problems.push(what)
  }
}
