import { expect, test } from 'vitest'
import { keyRefusals } from '../../src/engine/key-refusals.ts'

function account() {
  const state = { now: 0, keys: 'first', asked: 0, fails: 'refused' as 'refused' | 'unreachable' | undefined }
  const guarded = keyRefusals({
    now: () => state.now,
    keys: () => state.keys,
    isRefusal: (error) => (error as Error).message === 'refused',
  })
  const ask = () =>
    guarded(async () => {
      state.asked++
      if (state.fails !== undefined) throw new Error(state.fails)
      return 'ticket'
    })
  return { state, ask }
}

test('a refused key is not tried again before a pause, which doubles up to a minute', async () => {
  const { state, ask } = account()
  const asked: number[] = []
  for (; state.now < 200_000; state.now += 500) {
    const before = state.asked
    await expect(ask()).rejects.toThrow('refused')
    if (state.asked > before) asked.push(state.now)
  }
  expect(asked).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000])
})

test('other keys are tried at once, and so is everything after a success', async () => {
  const { state, ask } = account()
  await expect(ask()).rejects.toThrow('refused')
  state.keys = 'second'
  state.fails = undefined
  expect(await ask()).toBe('ticket')
  state.fails = 'refused'
  await expect(ask()).rejects.toThrow('refused')
  state.now += 1000
  await expect(ask()).rejects.toThrow('refused')
  expect(state.asked).toBe(4)
})

test('other failures cost no pause', async () => {
  const { state, ask } = account()
  state.fails = 'unreachable'
  await expect(ask()).rejects.toThrow('unreachable')
  await expect(ask()).rejects.toThrow('unreachable')
  expect(state.asked).toBe(2)
})
