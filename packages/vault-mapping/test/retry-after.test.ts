import { expect, test } from 'vitest'
import { retryAtOf } from '../src/retry-after.ts'

const now = Date.parse('2026-03-01T12:00:00Z')

test('Seconds count from now', () => {
  expect(retryAtOf('7', now)).toBe(now + 7_000)
  expect(retryAtOf(' 0 ', now)).toBe(now)
})

test('An HTTP date is when it says, and now where it is past', () => {
  expect(retryAtOf('Sun, 01 Mar 2026 12:00:30 GMT', now)).toBe(now + 30_000)
  expect(retryAtOf('Sun, 01 Mar 2026 11:00:00 GMT', now)).toBe(now)
})

test('Nobody is told to wait longer than a day', () => {
  expect(retryAtOf('999999999', now)).toBe(now + 86_400_000)
  expect(retryAtOf('Sun, 01 Mar 2099 12:00:30 GMT', now)).toBe(now + 86_400_000)
})

test('What is neither says nothing', () => {
  for (const header of [
    undefined,
    '',
    '-1',
    '1.5',
    '1e3',
    'soon',
    '2026-03-01',
    'Sun, 99 Mar 2026 12:00:30 GMT',
    ['1'],
  ])
    expect([header, retryAtOf(header, now)]).toEqual([header, undefined])
})
