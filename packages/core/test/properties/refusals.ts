import type { DelegationError } from '../../src/errors.ts'
import { type Call, DEADLINE } from './books.ts'
import type { House } from './house.ts'
import { keyOf, type Member, PLACES, type Token } from './people.ts'

/** How long a definite answer may be remembered. */
const NEGATIVE = 30_000
const QUEUED_PER_USER = 20

/** Whether the design gives a reason for this refusal. */
export function isJustified(house: House, call: Call, error: DelegationError): boolean {
  const { token, met, place } = call
  const [member] = PLACES[place] as readonly [Member]
  const answered = (PLACES[place] ?? []).some((each) => wasAnswered(house, call, each, error.code))
  if (answered) return true
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
      return member.type === 'clash' && isOthers(house, call, member)
    }
    case 'ERR_RATE_LIMITED':
      return Math.max(call.crowd, house.waiting(token.person, place)) >= QUEUED_PER_USER
    case 'ERR_DELEGATION_UNAVAILABLE':
      return met.has('close') || met.has('sink') || timedOut(house, call) || expiredMeanwhile(house, call)
    case 'ERR_AUDIT_FAILED':
      return met.has('sink')
    default:
      return false
  }
}

/** Whether somebody else has had the account, or was asking for it at the same time. */
function isOthers(house: House, { token, place, startedIn }: Call, member: Member): boolean {
  const principal = member.principal(token.person)
  const isOther = ({ person }: Token): boolean => person !== token.person && member.principal(person) === principal
  return (
    house.issued.some(({ good, issue }) => good && issue.member === member && isOther(issue.token)) ||
    house.calls.some(
      (other) => other.place === place && isOther(other.token) && (other.endedIn ?? startedIn) >= startedIn,
    )
  )
}

/** Whether the module has answered so to this key: while the call was under way, or so lately that it is remembered. */
export function wasAnswered(house: House, call: Call, member: Member | undefined, code: string): boolean {
  const key = member === undefined ? undefined : keyOf(member, call.token, call.request)
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

function timedOut(house: House, call: Call): boolean {
  const keys = new Set(house.keysOf(call))
  return house.calls.some(
    (other) =>
      house.elapsed() - other.startedAt >= DEADLINE &&
      house.elapsed() - other.startedAt <= 3 * DEADLINE &&
      house.keysOf(other).some((key) => keys.has(key)),
  )
}

/** Whether a credential of this key came to its end while the caller was waiting for it. */
function expiredMeanwhile(house: House, call: Call): boolean {
  const keys = house.keysOf(call)
  return house.issued.some(
    ({ issue, expiresAt, arrivedAt }) =>
      keys.includes(issue.key) &&
      house.now() >= Math.min(expiresAt, arrivedAt + house.setup.maxAge, call.token.expiresAt),
  )
}
