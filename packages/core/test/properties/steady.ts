import { COVER_GRACE, DEADLINE, type Issue, type Issued, LEASE_GRACE, PER_USER } from './books.ts'
import { type House, reads } from './house.ts'
import { type Member, PEOPLE, PLACES } from './people.ts'

/** Two sweeps, and the end of the timer's second. */
const SWEEP = 3_000

/** What must hold when everything has settled that can. */
export function checkSteady(house: House): void {
  nobodyWaitsForNothing(house)
  nobodyIssuesForNobody(house)
  nothingIsKept(house)
  limits(house)
  books(house)
}

/** Whoever waits, waits for something. */
function nobodyWaitsForNothing(house: House): void {
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
    if (!recorded && !waits && !full && !releasing) house.problems.push(`${call.tool} waits for nothing`)
    if (house.closed && !recorded && !releasing) house.problems.push(`${call.tool} waits for a closed registry`)
  }
}

/** A run that nobody waits for is aborted. */
function nobodyIssuesForNobody(house: House): void {
  for (const issue of house.unsettled()) {
    if (issue.abortedAt !== undefined || issue.unasked) continue
    const waiting = house.pendingOn(issue.key)
    const refreshes = waiting.length === 0 && mayRefresh(house, issue)
    if (waiting.length === 0 && !refreshes) house.problems.push(`issue ${issue.n} goes on for nobody`)
    if (house.blocked(issue.token.person) === 'yes') house.problems.push(`issue ${issue.n} goes on for a blocked user`)
  }
}

/** Whether a call that was served at once may have started this run. */
function mayRefresh(house: House, issue: Issue): boolean {
  return house.calls.some(
    (call) => call.state !== 'pending' && call.startedIn === issue.startedIn && house.keysOf(call).includes(issue.key),
  )
}

/** What is of no use any more is given back soon. */
function nothingIsKept(house: House): void {
  for (const issued of house.issued) {
    if (issued.releases.length > 0) continue
    const { n, issue, good } = issued
    if (!good) {
      house.problems.push(`credential ${n}, which came too late or was malformed, was kept`)
      continue
    }
    if (house.blocked(issue.token.person) === 'yes') house.problems.push(`credential ${n} of a blocked user was kept`)
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
      house.problems.push(`credential ${n} was kept long after its end`)
    const served = Math.max(...issued.served.map(({ token }) => token.expiresAt), Number.NEGATIVE_INFINITY)
    if (now >= served + COVER_GRACE) issued.sure = false
    if (issue.member.reuse === 'never' && !used && !recorded && !leasedBeyondGrace(house, issued))
      house.problems.push(`credential ${n} was for one call, and outlives it`)
  }
}

function leasedBeyondGrace(house: House, issued: Issued): boolean {
  return house.openLeases().some(({ credential }) => credential === issued)
}

/** Whether somebody has to wait for a turn. */
function isFull(house: House, member: Member): boolean {
  const running = house.running(member)
  if (running.length >= house.setup.maxConcurrent) return true
  return PEOPLE.some((person) => running.filter(({ token }) => token.person === person).length >= PER_USER)
}

function limits(house: House): void {
  const idle = house.issued.filter(
    (issued) =>
      issued.releases.length === 0 &&
      issued.good &&
      house.pendingOn(issued.issue.key).length === 0 &&
      !house.openLeases().some(({ credential }) => credential === issued),
  )
  if (idle.length > house.setup.max) house.problems.push(`${idle.length} credentials are cached`)
  for (const { person } of house.tokens) {
    const mine = idle.filter(({ issue }) => issue.token.person === person)
    if (mine.length > house.setup.maxPerUser)
      house.problems.push(`${mine.length} credentials of ${person.name} are cached`)
  }
}

function books(house: House): void {
  const stats = Object.values(house.registry.stats())
  const sum = (name: 'entries' | 'leases'): number => stats.reduce((total, each) => total + each[name], 0)
  for (const each of stats)
    if (Object.values(each).some((count) => count < 0)) house.problems.push(`negative counts: ${JSON.stringify(each)}`)
  const kept = house.issued.filter(({ good, releases }) => good && releases.length === 0).length
  if (sum('entries') > Math.min(kept, house.setup.max))
    house.problems.push(`${sum('entries')} of ${kept} entries are counted`)
  const pending = house.pending().length
  for (const [place, { queued }] of Object.entries(house.registry.stats()))
    if (queued > 0 && !(PLACES[place] ?? []).some((member) => isFull(house, member)))
      house.problems.push(`${queued} issues of ${place} wait for nothing`)
  const open = house.openLeases().filter(({ credential }) => credential?.releases.length === 0)
  if (sum('leases') > open.length + pending)
    house.problems.push(`${sum('leases')} of ${open.length} leases are counted`)
  const fresh = open.filter(
    ({ lease }) => lease !== undefined && house.latest < lease.expiresAt.getTime() + LEASE_GRACE,
  )
  if (sum('leases') < fresh.length) house.problems.push(`${sum('leases')} of ${fresh.length} leases are counted`)
  for (const call of open) {
    const { person } = call.token
    if (house.blocked(person) === 'yes' && reads(call))
      house.problems.push(`${call.tool} can be used by a blocked user`)
  }
}
