import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SingleFlight } from '../../src/single-flight.ts'
import { runs } from './runs.ts'

const some = fc.nat(997)
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('run'), key: fc.nat(1), owner: fc.nat(2), signal: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('abort'), caller: some }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('settle'), run: some, well: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel'), owner: fc.nat(2) }) },
)

interface Run {
  readonly key: string
  readonly signal: AbortSignal
  readonly callers: Caller[]
  settled: boolean
  readonly outcome: string
  settle(well: boolean): void
}

interface Caller {
  readonly owner: number
  readonly controller: AbortController
  readonly run: Run
  /** How it must end, once that is known. */
  expected: string | undefined
  seen: string | undefined
}

it('gives every caller the result of its run, or its own reason to leave', async () => {
  const property = fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), async (actions) => {
    const shared: string[] = []
    const flights = new SingleFlight<number, string>({
      share(result) {
        expect(shared).not.toContain(result)
        return result
      },
      shared: (result) => shared.push(result),
    })
    const started: Run[] = []
    const callers: Caller[] = []
    const results: string[] = []
    const waiting = (): Caller[] => callers.filter(({ expected }) => expected === undefined)

    const begin = (key: string, controller: AbortController): Promise<string> =>
      new Promise((resolve, reject) => {
        const outcome = `result ${started.length}`
        const run: Run = {
          key,
          signal: controller.signal,
          callers: [],
          settled: false,
          outcome,
          settle(well) {
            run.settled = true
            for (const caller of run.callers) caller.expected ??= well ? outcome : `failed ${outcome}`
            if (well) {
              results.push(outcome)
              resolve(outcome)
            } else reject(`failed ${outcome}`)
          },
        }
        expect(started.some((other) => other.key === key && !other.settled && !other.signal.aborted)).toBe(false)
        started.push(run)
      })

    for (const step of actions) {
      if (step.do === 'run') {
        const key = `key ${step.key}`
        const controller = new AbortController()
        const before = started.length
        const promise = flights.run(key, step.owner, step.signal ? controller.signal : undefined, (own) =>
          begin(key, own),
        )
        const run = started.findLast((other) => other.key === key) as Run
        const joined = started.slice(0, before).findLast((other) => other.key === key)
        const open = joined !== undefined && !joined.settled && !joined.signal.aborted
        expect(started.length - before).toBe(open ? 0 : 1)
        const caller: Caller = { owner: step.owner, controller, run, expected: undefined, seen: undefined }
        run.callers.push(caller)
        callers.push(caller)
        promise.then(
          (result) => {
            caller.seen = result
          },
          (reason: unknown) => {
            caller.seen = String(reason)
          },
        )
        if (!step.signal) continue
        controller.signal.addEventListener('abort', () => {
          caller.expected ??= String(controller.signal.reason)
        })
      } else if (step.do === 'abort') {
        const caller = callers[step.caller % Math.max(1, callers.length)]
        caller?.controller.abort(`abort of ${callers.indexOf(caller)}`)
      } else if (step.do === 'settle') {
        const open = started.filter(({ settled }) => !settled)
        open[step.run % Math.max(1, open.length)]?.settle(step.well)
      } else {
        for (const caller of waiting()) if (caller.owner === step.owner) caller.expected = `cancelled ${step.owner}`
        flights.cancel((owner) => owner === step.owner, `cancelled ${step.owner}`)
      }
      await new Promise((resolve) => setImmediate(resolve))
      for (const { expected, seen } of callers) expect(seen).toBe(expected)
      for (const run of started)
        if (!run.settled) expect(run.signal.aborted).toBe(run.callers.every(({ expected }) => expected !== undefined))
      expect(flights.size).toBe(new Set(waiting().map(({ run }) => run.key)).size)
    }
    for (const run of started) if (!run.settled) run.settle(true)
    await new Promise((resolve) => setImmediate(resolve))
    for (const { expected, seen } of callers) expect(seen).toBe(expected)
    expect(flights.size).toBe(0)
    expect(shared.toSorted()).toEqual(results.toSorted())
  })
  await fc.assert(property, runs(300))
})
