import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Admission } from '../../src/admission.ts'
import { isDelegationError } from '../../src/errors.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { runs } from './runs.ts'

const some = fc.nat(997)
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('enter'), user: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('leave'), turn: some }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('abort'), turn: some }) },
)
const limits = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 4 }),
  maxQueued: fc.integer({ min: 1, max: 8 }),
  maxConcurrentPerUser: fc.integer({ min: 1, max: 3 }),
  maxQueuedPerUser: fc.integer({ min: 1, max: 4 }),
})

interface Turn {
  readonly user: string
  readonly controller: AbortController
  state: 'waiting' | 'running' | 'over'
  leave: () => void
  error: unknown
}

it('keeps its limits, wastes no place, and is fair', async () => {
  const property = fc.asyncProperty(
    limits,
    fc.array(action, { maxLength: 80, size: 'max' }),
    async (limits, actions) => {
      const admission = new Admission(limits, fakeClock())
      const turns: Turn[] = []
      const count = (state: Turn['state'], user?: string): number =>
        turns.filter((turn) => turn.state === state && (user === undefined || turn.user === user)).length
      const hasRoom = (user: string): boolean => count('running', user) < limits.maxConcurrentPerUser
      /** How often a user was passed over for another while there would have been room. */
      const passedOver = new Map<string, Map<string, number>>()

      const enter = (user: string): void => {
        const controller = new AbortController()
        const turn: Turn = { user, controller, state: 'waiting', leave: () => {}, error: undefined }
        const free = count('running') < limits.maxConcurrent && hasRoom(user)
        const full = count('waiting') >= limits.maxQueued || count('waiting', user) >= limits.maxQueuedPerUser
        const eldest = (): Turn | undefined => turns.find((other) => other.user === user && other.state === 'waiting')
        admission.enter(user, controller.signal).then(
          (leave) => {
            if (!free) {
              expect(eldest(), 'first come, first served').toBe(turn)
              for (const other of new Set(
                turns.filter(({ state }) => state === 'waiting').map((waiting) => waiting.user),
              )) {
                if (other === user || !hasRoom(other)) continue
                const times = passedOver.get(other) ?? new Map<string, number>()
                passedOver.set(other, times.set(user, (times.get(user) ?? 0) + 1))
              }
              passedOver.delete(user)
            }
            turn.state = 'running'
            turn.leave = leave
          },
          (error: unknown) => {
            turn.state = 'over'
            turn.error = error
          },
        )
        turns.push(turn)
        if (!free && full) turn.state = 'over'
      }

      for (const step of actions) {
        if (step.do === 'enter') enter(`user ${step.user}`)
        else {
          const state = step.do === 'leave' ? 'running' : 'waiting'
          const eligible = turns.filter((turn) => turn.state === state)
          const turn = eligible[step.turn % Math.max(1, eligible.length)]
          if (turn !== undefined) {
            if (step.do === 'abort') turn.controller.abort('gone')
            turn.state = 'over'
            // Who waits for nothing any more begins anew when they come again.
            if (count('waiting', turn.user) === 0) passedOver.delete(turn.user)
            turn.leave()
            turn.leave()
          }
        }
        await new Promise((resolve) => setImmediate(resolve))

        expect(admission.running).toBe(count('running'))
        expect(admission.queued).toBe(count('waiting'))
        expect(count('running')).toBeLessThanOrEqual(limits.maxConcurrent)
        for (const { user, state } of turns) {
          expect(count('running', user)).toBeLessThanOrEqual(limits.maxConcurrentPerUser)
          if (state === 'waiting' && count('running') < limits.maxConcurrent) expect(hasRoom(user)).toBe(false)
        }
        for (const times of passedOver.values())
          for (const number of times.values()) expect(number).toBeLessThanOrEqual(limits.maxConcurrentPerUser + 1)
        for (const { error, controller } of turns)
          if (error !== undefined && !controller.signal.aborted)
            expect(isDelegationError(error) && error.code === 'ERR_RATE_LIMITED' && error.retryAfter).toBeTruthy()
      }
      for (let turn = turns.find(({ state }) => state === 'running'); turn !== undefined; ) {
        turn.state = 'over'
        turn.leave()
        await new Promise((resolve) => setImmediate(resolve))
        turn = turns.find(({ state }) => state === 'running')
      }
      expect(count('waiting')).toBe(0)
      expect(admission.running + admission.queued).toBe(0)
    },
  )
  await fc.assert(property, runs(150))
})
