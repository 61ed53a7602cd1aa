import { expect, test } from 'vitest'
import { instantOf } from '../src/instants.ts'

const NOW = Date.parse('2026-01-31T12:00:00.000Z')

test.each([
  ['2026-01-31T10:00:00Z', '2026-01-31T10:00:00.000Z'],
  ['2026-01-31T10:00Z', '2026-01-31T10:00:00.000Z'],
  ['2026-01-31T10:00:00.5Z', '2026-01-31T10:00:00.500Z'],
  ['2026-01-31T10:00:00+02:00', '2026-01-31T08:00:00.000Z'],
  ['2026-01-31', '2026-01-31T00:00:00.000Z'],
  ['90s', '2026-01-31T11:58:30.000Z'],
  ['5m', '2026-01-31T11:55:00.000Z'],
  ['2h', '2026-01-31T10:00:00.000Z'],
  ['7d', '2026-01-24T12:00:00.000Z'],
  ['4w', '2026-01-03T12:00:00.000Z'],
])('%s is %s', (text, instant) => {
  expect(new Date(instantOf(text, NOW) ?? Number.NaN).toISOString()).toBe(instant)
})

// Without an offset, an instant would depend on where the program runs.
test.each(['2026-01-31T10:00:00', '2026-13-01', '31.01.2026', 'yesterday', '2', '2x', '-2h', '1.5h', '', '2h '])(
  '%j is no time',
  (text) => {
    expect(instantOf(text, NOW)).toBeUndefined()
  },
)
