import { expect, test } from 'vitest'
import { type KdcGate, kdcGate, type TripOutcome } from '../../src/engine/kdc-gate.ts'

const ignore = (): void => {}
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

const gateOf = (probeInterval = 60_000): KdcGate => kdcGate({ maxConcurrent: 8, deadline: 1000, probeInterval, log })

const pass = (gate: KdcGate, traveller: string, outcome: TripOutcome): Promise<boolean> =>
  gate.pass(traveller, async () => outcome)

test('it shuts when trips of four users are late, and says until when', async () => {
  const gate = gateOf()
  for (const user of ['a', 'b', 'c']) await pass(gate, user, 'late')
  expect(gate.closedUntil).toBeUndefined()
  await pass(gate, 'd', 'late')
  expect(gate.closedUntil).toBeGreaterThan(Date.now() + 59_000)
  expect(gate.closedUntil).toBeLessThanOrEqual(Date.now() + 60_000)
  expect(await pass(gate, 'e', 'answered')).toBe(false)
})

test('one slow user does not shut it, while others are answered in between', async () => {
  const gate = gateOf()
  for (let turn = 0; turn < 100; turn++) {
    for (let slow = 0; slow < 7; slow++) await pass(gate, 'slow', 'late')
    await pass(gate, 'other', 'answered')
  }
  expect(gate.closedUntil).toBeUndefined()
})

test('as many late trips in a row as run at once shut it, whoever they are for', async () => {
  const gate = gateOf()
  for (let turn = 0; turn < 7; turn++) await pass(gate, 'slow', 'late')
  expect(gate.closedUntil).toBeUndefined()
  await pass(gate, 'slow', 'late')
  expect(gate.closedUntil).toBeDefined()
})

test('what says nothing about the KDC neither shuts it nor counts as an answer', async () => {
  const gate = gateOf()
  for (let turn = 0; turn < 20; turn++) await pass(gate, `user${turn}`, 'unknown')
  expect(gate.closedUntil).toBeUndefined()
  for (const user of ['a', 'b', 'c']) await pass(gate, user, 'late')
  await pass(gate, 'd', 'unknown')
  expect(gate.closedUntil).toBeUndefined()
  await pass(gate, 'd', 'late')
  expect(gate.closedUntil).toBeDefined()
})

test('after the interval one probe is let through, and its answer opens it', async () => {
  const gate = gateOf(50)
  for (const user of ['a', 'b', 'c', 'd']) await pass(gate, user, 'late')
  await expect.poll(() => gate.closedUntil, { interval: 5 }).toBeUndefined()
  let answer = (_outcome: TripOutcome): void => {}
  const probe = gate.pass('e', () => new Promise((resolve) => (answer = resolve)))
  expect(gate.closedUntil).toBeGreaterThan(Date.now() + 900)
  answer('answered')
  expect(await probe).toBe(true)
  expect(gate.closedUntil).toBeUndefined()
  await pass(gate, 'a', 'late')
  expect(gate.closedUntil).toBeUndefined()
})

test.each(['late', 'unknown'] as const)('a probe that is %s shuts it for another interval', async (outcome) => {
  const gate = gateOf(50)
  for (const user of ['a', 'b', 'c', 'd']) await pass(gate, user, 'late')
  await expect.poll(() => gate.closedUntil, { interval: 5 }).toBeUndefined()
  await pass(gate, 'e', outcome)
  expect(gate.closedUntil).toBeDefined()
})
