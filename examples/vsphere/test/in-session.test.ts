import { expect, test } from 'vitest'
import { inSession, type SessionLease } from '../src/in-session.ts'
import { VcenterError, type VcenterSession } from '../src/vcenter/index.ts'

/** Leases on sessions that are called first, second … and what became of them. */
function leases() {
  const happened: string[] = []
  let count = 0
  return {
    happened,
    async lease() {
      const name = `session ${++count}`
      happened.push(`lease ${name}`)
      return {
        value: { kind: 'session', handle: { userName: name } as VcenterSession },
        invalidate: () => happened.push(`invalidate ${name}`),
        async [Symbol.asyncDispose]() {
          happened.push(`dispose ${name}`)
        },
      } as unknown as SessionLease
    },
  }
}

const over = new VcenterError('ERR_VCENTER_NOT_AUTHENTICATED', 'the session is over')

test('work that is done is done once', async () => {
  const { lease, happened } = leases()
  expect(await inSession(lease, async ({ userName }) => userName)).toBe('session 1')
  expect(happened).toEqual(['lease session 1', 'dispose session 1'])
})

test('a session that is over is given up, and the work done in another', async () => {
  const { lease, happened } = leases()
  const work = async ({ userName }: VcenterSession): Promise<string> => {
    if (userName === 'session 1') throw over
    return userName
  }
  expect(await inSession(lease, work)).toBe('session 2')
  expect(happened).toEqual([
    ...['lease session 1', 'invalidate session 1', 'dispose session 1'],
    ...['lease session 2', 'dispose session 2'],
  ])
})

test('it is tried twice and no more', async () => {
  const { lease, happened } = leases()
  await expect(inSession(lease, () => Promise.reject(over))).rejects.toBe(over)
  expect(happened.filter((text) => text.startsWith('invalidate'))).toEqual([
    'invalidate session 1',
    'invalidate session 2',
  ])
})

test('what vCenter had begun is not ordered again', async () => {
  const { lease, happened } = leases()
  const begun = new VcenterError('ERR_VCENTER_NOT_AUTHENTICATED', 'the session is over', { begun: true })
  await expect(inSession(lease, () => Promise.reject(begun))).rejects.toBe(begun)
  expect(happened).toEqual(['lease session 1', 'invalidate session 1', 'dispose session 1'])
})

test('other errors leave the session as it is', async () => {
  const { lease, happened } = leases()
  const denied = new VcenterError('ERR_VCENTER_DENIED', 'no')
  await expect(inSession(lease, () => Promise.reject(denied))).rejects.toBe(denied)
  expect(happened).toEqual(['lease session 1', 'dispose session 1'])
})
