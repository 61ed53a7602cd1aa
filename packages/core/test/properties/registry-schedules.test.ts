import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { START } from './books.ts'
import { House } from './house.ts'
import { Law } from './law.ts'
import { runs } from './runs.ts'
import { type Action, type Setup, schedules, setups } from './schedule.ts'

const unhandled: unknown[] = []
const note = (reason: unknown): void => {
  unhandled.push(reason)
}

beforeAll(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] })
  process.on('unhandledRejection', note)
})
afterAll(() => {
  process.off('unhandledRejection', note)
  vi.useRealTimers()
})

/** Runs a schedule against a registry of its own, and checks the law after every step. */
export async function obey(setup: Setup, actions: readonly Action[]): Promise<void> {
  vi.clearAllTimers()
  vi.setSystemTime(START)
  unhandled.length = 0
  const house = new House(setup)
  const law = new Law(house)
  const check = (step: string): void => {
    for (const reason of unhandled.splice(0)) house.problems.push(`unhandled rejection: ${String(reason)}`)
    if (house.problems.length > 0) throw new Error(`${step}:\n  ${house.problems.join('\n  ')}`)
  }
  for (const [index, action] of actions.entries()) {
    await house.run(action)
    law.steady()
    check(`after step ${index}, ${JSON.stringify(action)}`)
  }
  await house.finish()
  law.finished()
  check('at the end')
  expect(vi.getTimerCount()).toBe(0)
}

describe('a registry', () => {
  it('obeys the law under any schedule', { timeout: 600_000 }, async () => {
    await fc.assert(fc.asyncProperty(setups, schedules(80), obey), runs(600))
  })

  const small: Setup = { max: 1, maxPerUser: 1, maxAge: 15_000, maxConcurrent: 1 }

  it('evicts nothing that its callers have not had yet', async () => {
    await obey(small, [
      { do: 'delegate', session: 0, module: 3, request: 0 },
      { do: 'delegate', session: 0, module: 0, request: 0 },
      { do: 'settle all' },
    ])
  })

  it('asks no backend for a session that expires while it waits for a turn', async () => {
    await obey(small, [
      { do: 'session', user: 0, rights: 0, sid: 0, life: 5_000, kind: 'user' },
      { do: 'burst', session: 8, module: 0, count: 2 },
      { do: 'jump', ms: 6_000 },
      { do: 'settle all' },
    ])
  })

  it('asks again for those who wait with a session that was ended', async () => {
    await obey({ ...small, max: 10_000, maxPerUser: 100 }, [
      { do: 'burst', session: 0, module: 0, count: 2 },
      { do: 'session', user: 0, rights: 0, sid: 0, life: 600_000, kind: 'user' },
      { do: 'again', call: 1 },
      { do: 'end', session: 0, by: 'id' },
      { do: 'settle all' },
      { do: 'settle all' },
    ])
  })

  it('does not keep for an ended session what was issued on its behalf to others', async () => {
    await obey({ ...small, max: 10_000, maxPerUser: 100 }, [
      { do: 'delegate', session: 0, module: 0, request: 0 },
      { do: 'session', user: 0, rights: 0, sid: 0, life: 600_000, kind: 'user' },
      { do: 'again', call: 0 },
      { do: 'end', session: 0, by: 'id' },
      { do: 'settle all' },
      { do: 'end', session: 8, by: 'session' },
    ])
  })

  it('does not keep what others were served with, where the record of its issue is lost after all', async () => {
    await obey({ max: 10_000, maxPerUser: 100, maxAge: 15_000, maxConcurrent: 1 }, [
      { do: 'sink', mode: 'holds' },
      { do: 'delegate', session: 0, module: 0, request: 0 },
      { do: 'settle all' },
      { do: 'sink', mode: 'accepts' },
      { do: 'again', call: 0 },
      { do: 'advance', ms: 10_001 },
      { do: 'again', call: 0 },
      { do: 'settle all' },
    ])
  })

  it('leaves the principal with a user of whose calls one is refused', async () => {
    await obey(small, [
      { do: 'burst', session: 0, module: 4, count: 22 },
      { do: 'delegate', session: 4, module: 4, request: 0 },
      { do: 'settle all' },
      { do: 'settle all' },
    ])
  })
})
