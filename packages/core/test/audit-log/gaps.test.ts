import { expect, test } from 'vitest'
import { Gaps } from '../../src/audit-log/gaps.ts'

const gap = (from: number, to: number) => ({ from, to, before: undefined, file: 'f', line: 1 })

test('a gap that is filled in its middle becomes two, and the second one begins after that line', () => {
  const gaps = new Gaps()
  gaps.add(gap(10, 20))
  expect(gaps.fill(15, 'h')).toMatchObject({ from: 10, to: 20 })
  expect(gaps.left).toMatchObject([
    { from: 10, to: 14 },
    { from: 16, to: 20, before: 'h' },
  ])
})

test('the number of gaps is bounded, also where every other place of one is filled', () => {
  const gaps = new Gaps()
  gaps.add(gap(1, 1_000_000))
  for (let seq = 2; seq < 10_000; seq += 2) expect(gaps.fill(seq, 'h')).toBeDefined()
  expect(gaps.left).toHaveLength(1_000)
  expect(gaps.left.at(-1)).toMatchObject({ from: 9_999, to: 1_000_000 })
  expect(gaps.add(gap(2_000_000, 2_000_001))).toBe(false)
})
