import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RateLimits } from '../../src/rate-limit.ts'
import { expectOften, runs } from './runs.ts'

const limit = fc.record({ calls: fc.integer({ min: 1, max: 7 }), per: fc.integer({ min: 1, max: 50 }) })
const call = fc.record({
  after: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 })),
  user: fc.constantFrom('a', 'b'),
  both: fc.boolean(),
})

/**
 * The same limit by the instant at which a call is due if all come evenly, in exact arithmetic: times are multiplied by
 * the number of calls.
 * @see https://www.itu.int/rec/T-REC-I.371 the generic cell rate algorithm
 */
class Cells {
  readonly #calls: bigint
  readonly #per: bigint
  #due = 0n

  constructor({ calls, per }: { readonly calls: number; readonly per: number }) {
    this.#calls = BigInt(calls)
    this.#per = BigInt(per)
  }

  hasRoom(now: number): boolean {
    return this.#due - BigInt(now) * this.#calls <= this.#per * (this.#calls - 1n)
  }

  take(now: number): void {
    const time = BigInt(now) * this.#calls
    this.#due = (this.#due > time ? this.#due : time) + this.#per
  }
}

it('lets through exactly the calls that come no earlier than even ones would', () => {
  let refused = 0
  fc.assert(
    fc.property(limit, limit, fc.array(call, { maxLength: 60 }), (one, other, calls) => {
      let now = 1_000_000
      const limits = new RateLimits({ now: () => now }, 10)
      const cells = new Map<string, readonly [Cells, Cells]>()
      for (const { after, user, both } of calls) {
        now += after
        const pair = cells.get(user) ?? ([new Cells(one), new Cells(other)] as const)
        cells.set(user, pair)
        const asked = both ? pair : [pair[0]]
        const until = limits.take(user, both ? [one, other] : [one])
        const room = asked.every((cell) => cell.hasRoom(now))
        expect(until === undefined).toBe(room)
        if (room) for (const cell of asked) cell.take(now)
        else {
          refused++
          const retry = until?.getTime() ?? 0
          // The first whole millisecond at which all have room.
          expect(asked.every((cell) => cell.hasRoom(retry))).toBe(true)
          expect(asked.every((cell) => cell.hasRoom(retry - 1))).toBe(false)
        }
      }
    }),
    runs(1_000),
  )
  expectOften({ refused }, 1_000)
})

it('keeps nobody waiting for longer than its time, however the clock is set', () => {
  const jumps = fc.array(fc.oneof(fc.integer({ min: -1_000, max: 1_000 }), fc.constant(0)), { maxLength: 40 })
  fc.assert(
    fc.property(limit, jumps, (given, steps) => {
      let now = 1_000_000
      const limits = new RateLimits({ now: () => now }, 10)
      for (const step of steps) {
        now += step
        const until = limits.take('a', [given])
        if (until === undefined) continue
        const wait = until.getTime() - now
        expect(wait).toBeGreaterThan(0)
        expect(wait).toBeLessThanOrEqual(Math.ceil(given.per / given.calls))
      }
      const until = limits.take('a', [given])
      if (until !== undefined) {
        now = until.getTime()
        expect(limits.take('a', [given])).toBeUndefined()
      }
    }),
    runs(1_000),
  )
})
