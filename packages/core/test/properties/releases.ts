import type { ReleaseReason } from '../../src/module.ts'
import { COVER_GRACE, type Issued } from './books.ts'
import type { House } from './house.ts'

/** The credential of a key that came last. */
export function newest(house: House, key: string): Issued | undefined {
  return house.issued.filter(({ issue, good }) => good && issue.key === key).at(-1)
}

/** Whether a user has so many credentials that even a roomy cache may evict. */
export function isCrowded(house: House, { issue }: Issued): boolean {
  const { person } = issue.token
  const mine = house.issued.filter((other) => other.releases.length === 0 && other.issue.token.person === person)
  return mine.length > 90
}

/** Whether the reason of a release is what happened. */
export function fits(house: House, issued: Issued, reason: ReleaseReason): boolean {
  const { issue, good, served } = issued
  const { setup } = house
  const latest = newest(house, issue.key)
  switch (reason) {
    case 'expired': {
      const covers = served.map(({ token }) => token).filter((token) => !house.ended(token))
      const covered = Math.max(...covers.map((token) => token.expiresAt), Number.NEGATIVE_INFINITY) + COVER_GRACE
      return Math.max(house.latest, house.now()) >= Math.min(issued.expiresAt, issued.arrivedAt + setup.maxAge, covered)
    }
    case 'evicted':
      return setup.max < 100 || setup.maxPerUser < 90 || isCrowded(house, issued)
    case 'replaced':
      return latest !== undefined && latest.n > issued.n
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
