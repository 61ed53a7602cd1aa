import { expect, test } from 'vitest'
import { type Generation, serviceTickets } from '../../src/engine/service-tickets.ts'

const HOUR = 3_600_000

/** A KDC that gives tickets of one hour, and a clock. */
function domain({ life = HOUR } = {}) {
  const destroyed: string[] = []
  const reported: string[] = []
  const state = { now: 1_000_000, asked: 0, fails: false }
  const tickets = serviceTickets({
    acquire: async () => {
      state.asked++
      if (state.fails) throw new Error('no KDC')
      return { cache: `cache-${state.asked}`, obtainedAt: state.now, endsAt: state.now + life }
    },
    destroy: ({ cache }) => void destroyed.push(cache),
    now: () => state.now,
    report: (problem) => void reported.push(problem),
  })
  return { tickets, state, destroyed, reported, used: () => tickets.use(async ({ cache }) => cache) }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('one ticket serves until half of its life is over', async () => {
  const { state, used } = domain()
  expect(await Promise.all([used(), used(), used()])).toEqual(['cache-1', 'cache-1', 'cache-1'])
  state.now += HOUR / 2 - 1
  expect(await used()).toBe('cache-1')
  expect(state.asked).toBe(1)
})

test('from then on it is renewed in the background, and serves meanwhile', async () => {
  const { state, used, destroyed } = domain()
  await used()
  state.now += HOUR / 2
  expect(await used()).toBe('cache-1')
  await settled()
  expect(await used()).toBe('cache-2')
  expect(destroyed).toEqual(['cache-1'])
  expect(state.asked).toBe(2)
})

test('with three minutes left, or a quarter of a short life, the new one is awaited', async () => {
  for (const [life, left] of [
    [HOUR, 180_000],
    [120_000, 30_000],
  ] as const) {
    const { state, used } = domain({ life })
    await used()
    state.now += life - left
    expect(await used()).toBe('cache-2')
  }
})

test('a renewal that fails is told, leaves the ticket in use, and is not tried again for ten seconds', async () => {
  const { state, used, reported } = domain()
  await used()
  state.now += HOUR / 2
  state.fails = true
  expect(await used()).toBe('cache-1')
  await settled()
  state.now += 9_999
  expect(await used()).toBe('cache-1')
  expect(state.asked).toBe(2)
  state.now += 1
  expect(await used()).toBe('cache-1')
  await settled()
  expect(state.asked).toBe(3)
  expect(reported).toEqual(Array(2).fill("the service's ticket was not renewed: no KDC"))
  state.now += HOUR / 2 - 180_000
  await expect(used()).rejects.toThrow('no KDC')
})

test('a ticket in use is destroyed when its last use ends, and once', async () => {
  const { tickets, used, destroyed } = domain()
  let end: () => void = () => {}
  let mine: Generation | undefined
  const use = tickets.use(async (generation) => {
    mine = generation
    await new Promise<void>((resolve) => {
      end = resolve
    })
  })
  await settled()
  tickets.retire(mine as Generation)
  tickets.retire(mine as Generation)
  expect(await used()).toBe('cache-2')
  expect(destroyed).toEqual([])
  end()
  await use
  expect(destroyed).toEqual(['cache-1'])
})
