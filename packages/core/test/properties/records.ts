import type { DelegationRecord } from '../../src/audit.ts'
import type { DelegationError } from '../../src/errors.ts'
import type { Call, Issued } from './books.ts'
import type { House } from './house.ts'

/** One record for each attempt, before its end, and it says what the caller saw. */
export function checkRecord(
  house: House,
  call: Call,
  issued: Issued | undefined,
  error: DelegationError | undefined,
): void {
  const { tool, token } = call
  const entries = house.sink.entries.filter(({ record }) => record.event === 'delegation' && record.tool === tool)
  const [entry] = entries
  if (entry === undefined || entries.length !== 1) {
    house.problems.push(`${tool} has ${entries.length} records`)
    return
  }
  const { record, state } = entry
  if (record.event !== 'delegation') return
  const seen = issued === undefined ? (error?.code ?? 'abort') : 'served'
  const wrong = (what: string): void => {
    house.problems.push(`${tool} (${seen}) is recorded with ${what}`)
  }
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
    const announced = others.some((other) => recordOf(house, other)?.outcome === 'issued')
    if (record.outcome === 'issued') {
      if (issued.arrivedIn < call.startedIn) wrong('an issue that was over before')
      if (announced) wrong('a second issue of it')
    } else if (record.outcome !== 'reused') wrong(record.outcome)
    else if (!wasAnnounced(house, issued) && !wasRefreshed(house, issued)) wrong('the reuse of what was never issued')
    return
  }
  // Between the record of a success and its acceptance the caller may be refused after all.
  const accepting = record.outcome === 'issued' || record.outcome === 'reused'
  if (accepting && (call.met.has('sink') || (house.sink.mode !== 'accepts' && call.met.size > 0))) return
  if (error === undefined) {
    if (record.outcome !== 'aborted' || record.code !== undefined) wrong(`${record.outcome} ${record.code}`)
    return
  }
  const failure = ['ERR_DELEGATION_UNAVAILABLE', 'ERR_DELEGATION_PROTOCOL', 'ERR_AUDIT_FAILED'].includes(error.code)
  if (record.code !== error.code) wrong(String(record.code))
  if (record.outcome !== (failure ? 'failed' : 'refused')) wrong(record.outcome)
}

function recordOf(house: House, { tool }: Call): DelegationRecord | undefined {
  for (const { record } of house.sink.entries) if (record.event === 'delegation' && record.tool === tool) return record
  return undefined
}

/** Whether a record says that it, or another of its key, was issued for a call. */
function wasAnnounced(house: House, { issue }: Issued): boolean {
  return house.calls.some(
    (call) => house.keysOf(call).includes(issue.key) && recordOf(house, call)?.outcome === 'issued',
  )
}

/** Whether a record says that a refresh has brought it. */
function wasRefreshed(house: House, { issue }: Issued): boolean {
  return house.sink.entries.some(
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
export function noteLostRecord(house: House, { announces }: Call): void {
  if (announces === undefined) return
  announces.unrecordedIn = house.step
  announces.sure = false
}
