import type { StandardSchemaV1 } from '@standard-schema/spec'
import { DelegationError } from '../../src/errors.ts'
import type { DelegationModule, IssueContext, IssuedCredential } from '../../src/module.ts'
import type { Issue, Issued, Value } from './books.ts'
import { deferred } from './deferred.ts'
import type { House } from './house.ts'
import { keyOf, type Member } from './people.ts'
import type { Settlement } from './schedule.ts'

const Request: StandardSchemaV1<{ r: number }> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { r: number } }) },
}

/** What stands behind the modules: issues wait until they are settled, and everything is written down. */
export class Backend {
  readonly #house: House
  /** The next issue throws before there is a promise. */
  throwOnce = false

  constructor(house: House) {
    this.#house = house
  }

  /** A module whose answers wait until somebody settles them. */
  module(member: Member): DelegationModule<{ r: number }, Value> {
    return {
      type: member.type,
      request: Request,
      reuse: member.reuse,
      shared: member.shared,
      maxConcurrent: this.#house.setup.maxConcurrent,
      target: ({ r }) => `target-${r}`,
      principal: (session) => member.principal(this.#house.tokenOf(session).person),
      issue: (request, context) => this.#issue(member, request.r, context),
    }
  }

  #issue(member: Member, request: number, context: IssueContext): Promise<IssuedCredential<Value>> {
    const token = this.#house.tokenOf(context.session)
    const key = keyOf(member, token, request)
    if (key === undefined) throw new Error(`${member.type} was asked for ${token.person.name}, who is not mapped`)
    const { promise, resolve, reject } = deferred<IssuedCredential<Value>>()
    const issue: Issue = {
      n: this.#house.issues.length,
      member,
      token,
      request,
      key,
      signal: context.signal,
      startedIn: this.#house.step,
      unasked: this.#house.pendingOn(key).length === 0 || this.#house.isCached(key),
      abortedAt: context.signal.aborted ? this.#house.elapsed() : undefined,
      settled: false,
      settle: (how) => {
        if (issue.settled) return
        issue.settled = true
        switch (how.as) {
          case 'issued': {
            const expiresAt = this.#house.now() + how.life
            return resolve(this.#make(issue, expiresAt, how.release, this.#isWanted(issue)))
          }
          case 'failed':
            this.#answered(issue, how.code)
            return reject(new DelegationError(how.code, `the backend answers ${how.code}`))
          case 'bare error':
            this.#answered(issue, 'ERR_DELEGATION_PROTOCOL')
            return reject(new Error('ECONNRESET'))
          case 'garbage':
            this.#answered(issue, 'ERR_DELEGATION_PROTOCOL')
            return resolve(this.#garbage(issue, how.what))
        }
      },
    }
    context.signal.addEventListener('abort', () => {
      issue.abortedAt ??= this.#house.elapsed()
    })
    this.#house.issues.push(issue)
    if (context.principal !== member.principal(token.person))
      this.#house.problems.push(`issue ${issue.n} is for ${context.principal}`)
    this.#house.observer?.issueStarted(issue)
    if (this.throwOnce) {
      this.throwOnce = false
      issue.settled = true
      this.#answered(issue, 'ERR_DELEGATION_PROTOCOL')
      throw new Error('thrown before there was a promise')
    }
    return promise
  }

  /** Whether what arrives now is taken: somebody waits, the session is still good, nobody else has had the account. */
  #isWanted({ signal, member, token }: Issue): boolean {
    const house = this.#house
    if (signal.aborted || house.now() >= token.expiresAt) return false
    if (house.ended(token) || house.blocked(token.person) !== 'no') return false
    if (member.shared) return true
    const principal = member.principal(token.person)
    return !house.issued.some(
      ({ good, issue }) =>
        good &&
        issue.member === member &&
        issue.token.person !== token.person &&
        member.principal(issue.token.person) === principal,
    )
  }

  #answered({ key, token, signal }: Issue, code: string): void {
    if (signal.aborted) return
    const { person } = token
    this.#house.answers.push({
      key,
      person,
      code,
      givenIn: this.#house.step,
      clockAt: this.#house.now(),
      forgottenIn: undefined,
    })
  }

  #make(
    issue: Issue,
    expiresAt: number,
    release: Extract<Settlement, { as: 'issued' }>['release'],
    good: boolean,
  ): IssuedCredential<Value> {
    const issued: Issued = {
      n: this.#house.issued.length,
      issue,
      good,
      expiresAt,
      arrivedIn: this.#house.step,
      arrivedAt: this.#house.now(),
      hangs: release === 'hangs',
      releases: [],
      served: [],
      sure: false,
      invalidatedIn: undefined,
      unrecordedIn: undefined,
      overdueSince: undefined,
    }
    this.#house.issued.push(issued)
    if (good)
      for (const older of this.#house.issued) if (older !== issued && older.issue.key === issue.key) older.sure = false
    return {
      value: { n: issued.n },
      expiresAt: new Date(expiresAt),
      release: (reason) => {
        const openLeases = this.#house.openLeases().filter(({ credential }) => credential === issued)
        issued.releases.push({ reason, at: this.#house.elapsed(), openLeases })
        issued.sure = false
        this.#house.observer?.released(issued)
        if (release === 'throws') throw new Error('thrown by a release')
        if (release === 'rejects') return Promise.reject(new Error('a release was rejected'))
        return release === 'hangs' ? new Promise(() => {}) : Promise.resolve()
      },
    }
  }

  #garbage(issue: Issue, what: Extract<Settlement, { as: 'garbage' }>['what']): IssuedCredential<Value> {
    if (what === 'nothing') return undefined as never
    const issued = this.#make(issue, this.#house.now() + (what === 'expired' ? 0 : 60_000), 'ok', false)
    switch (what) {
      case 'expired':
        return issued
      case 'no value':
        return { ...issued, value: undefined as never }
      case 'no expiry':
        return { ...issued, expiresAt: new Date(Number.NaN) }
      case 'a bad principal':
        return { ...issued, principal: 'line\nbreak' }
    }
  }
}
