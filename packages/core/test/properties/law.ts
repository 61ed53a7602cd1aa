import { isDelegationError } from '../../src/errors.ts'
import type { Credential } from '../../src/lease.ts'
import { type Call, type Issue, type Issued, LEASE_GRACE, type Observer, PER_USER, type Value } from './books.ts'
import type { House } from './house.ts'
import { PLACES } from './people.ts'
import { checkRecord, noteLostRecord } from './records.ts'
import { isJustified, wasAnswered } from './refusals.ts'
import { fits, isCrowded, newest } from './releases.ts'
import { checkSteady } from './steady.ts'

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
    if (member !== expected && !wasAnswered(house, call, expected, 'ERR_DELEGATION_NO_IDENTITY'))
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
      issued.unrecordedIn === undefined &&
      issued === newest(house, issue.key)
    )
      issued.sure = !isCrowded(house, issued)
    checkRecord(house, call, issued, undefined)
  }

  failed(call: Call, error: unknown): void {
    const house = this.#house
    const { tool, controller } = call
    if (controller.signal.aborted && error === controller.signal.reason) {
      checkRecord(house, call, undefined, undefined)
      return
    }
    if (!isDelegationError(error)) {
      this.#broken(`${tool} failed with ${String(error)}`)
      return
    }
    if (!isJustified(house, call, error))
      this.#broken(`${tool} failed with ${error.code} (${error.message}) for no reason`)
    checkRecord(house, call, undefined, error)
    if (error.code === 'ERR_AUDIT_FAILED') noteLostRecord(house, call)
  }

  released(issued: Issued): void {
    const { n, releases } = issued
    const house = this.#house
    const [release, second] = releases
    if (release !== undefined && !fits(house, issued, release.reason))
      this.#broken(`credential ${n} was released as ${release.reason}`)
    if (second !== undefined) this.#broken(`credential ${n} was released twice`)
    if (release === undefined || release.reason === 'revoked') return
    if (house.closed) return
    const latest = Math.max(house.latest, house.now())
    for (const { lease, tool } of release.openLeases)
      if (lease !== undefined && latest < lease.expiresAt.getTime() + LEASE_GRACE)
        this.#broken(`credential ${n} was released (${release.reason}) while ${tool} was using it`)
  }

  /** What must hold when everything has settled that can. */
  steady(): void {
    checkSteady(this.#house)
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

  #broken(what: string): void {
    this.#problems.push(what)
  }
}
