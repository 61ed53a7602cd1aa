import { expect, test } from 'vitest'
import { createSlots } from '../src/slots.ts'
import { never } from './fixtures/clients.ts'

test('Whoever comes first is first', async () => {
  const slots = createSlots(2)
  const [first, second] = [await slots.enter(never()), await slots.enter(never())]
  const order: string[] = []
  const enter = async (name: string): Promise<() => void> => {
    const leave = await slots.enter(never())
    order.push(name)
    return leave
  }
  const [third, fourth] = [enter('third'), enter('fourth')]
  await Promise.resolve()
  expect(order).toEqual([])
  second()
  ;(await third)()
  await fourth
  expect(order).toEqual(['third', 'fourth'])
  first()
})

test('Leaving twice gives one place', async () => {
  const slots = createSlots(1)
  const leave = await slots.enter(never())
  leave()
  leave()
  await slots.enter(never())
  let entered = false
  void slots.enter(never()).then(() => {
    entered = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(entered).toBe(false)
})

test('Who stops waiting is passed over', async () => {
  const slots = createSlots(1)
  const leave = await slots.enter(never())
  const impatient = new AbortController()
  const gone = slots.enter(impatient.signal)
  const next = slots.enter(never())
  const reason = new Error('gone')
  impatient.abort(reason)
  await expect(gone).rejects.toBe(reason)
  leave()
  ;(await next)()
  await expect(slots.enter(impatient.signal)).rejects.toBe(reason)
  await slots.enter(never())
})
