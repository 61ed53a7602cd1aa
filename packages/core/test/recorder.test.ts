import { fakeClock } from '@mcp-delegation/core/testing'
import { expect, test, vi } from 'vitest'
import type { AuditSink } from '../src/audit.ts'
import { silentLog } from '../src/log.ts'
import { Recorder } from '../src/recorder.ts'
import { issued } from './audit-log/support.ts'

const recorderOf = (sink: AuditSink, deadline: number): Recorder => new Recorder(sink, fakeClock(), silentLog, deadline)

test('records that a sink answers with one promise wait for one deadline, and are refused together', async () => {
  const timers = vi.spyOn(globalThis, 'setTimeout')
  let settle = (_: Error | undefined): void => {}
  const next = (): Promise<void> =>
    new Promise((accept, refuse) => {
      settle = (error) => (error === undefined ? accept() : refuse(error))
    })
  let answer = next()
  const recorder = recorderOf(() => answer, 60_000)
  const before = timers.mock.calls.length
  const first = Array.from({ length: 50 }, () => recorder.accept(issued('alice')))
  expect(timers.mock.calls.length - before).toBe(1)
  settle(undefined)
  await Promise.all(first)
  answer = next()
  const second = Array.from({ length: 50 }, async () => recorder.accept(issued('alice')))
  settle(new Error('full'))
  for (const { status } of await Promise.allSettled(second)) expect(status).toBe('rejected')
  await expect(recorder.accept(issued('alice'))).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
  timers.mockRestore()
})

test('a record that joins a promise late has most of the deadline left', async () => {
  const recorder = recorderOf(() => never, 100)
  const never = new Promise<void>(() => {})
  const start = performance.now()
  const early = recorder.accept(issued('alice'))
  await new Promise((resolve) => setTimeout(resolve, 50))
  const late = Promise.resolve(recorder.accept(issued('alice'))).catch(() => performance.now() - start)
  await expect(early).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
  expect(await late).toBeGreaterThanOrEqual(140)
})
