import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { stdioSession } from '../src/stdio-session.ts'
import { world } from './support.ts'

describe('stdioSession', () => {
  const HOUR = 3_600_000

  test('is made once, when it is first needed, and again after its expiry', async () => {
    const clock = fakeClock()
    const stdio = vi.fn(async () =>
      testSession({ issuedAt: new Date(clock.now()), expiresAt: new Date(clock.now() + HOUR) }),
    )
    const session = stdioSession({ stdio, clock, registry: world().registry })
    expect(stdio).not.toHaveBeenCalled()
    const first = await session()
    expect(session()).toBe(first)
    clock.tick(HOUR - 1)
    expect(session()).toBe(first)
    clock.tick(1)
    const second = await session()
    expect(second).not.toBe(first)
    expect(session()).toBe(second)
    expect(stdio).toHaveBeenCalledTimes(2)
  })

  test('callers at the same time share one', async () => {
    const stdio = vi.fn(async () => testSession())
    const session = stdioSession({ stdio, clock: fakeClock(), registry: world().registry })
    const made = await Promise.all([session(), session(), session()])
    expect(new Set(made).size).toBe(1)
    expect(stdio).toHaveBeenCalledTimes(1)
  })

  test('a failure is not kept', async () => {
    const stdio = vi.fn(async () => testSession()).mockRejectedValueOnce(new Error('not now'))
    const session = stdioSession({ stdio, clock: fakeClock(), registry: world().registry })
    await expect(session()).rejects.toThrow('not now')
    expect(await session()).toMatchObject({ subject: 'alice' })
    const thrown = vi
      .fn(async () => testSession())
      .mockImplementationOnce(() => {
        throw new Error('at once')
      })
    const other = stdioSession({ stdio: thrown, clock: fakeClock(), registry: world().registry })
    await expect(other()).rejects.toThrow('at once')
    expect(await other()).toMatchObject({ subject: 'alice' })
  })

  test('what createSession did not make is refused', async () => {
    const stdio = async () => ({ ...testSession({ subject: 'root' }) })
    const session = stdioSession({ stdio, clock: fakeClock(), registry: world().registry })
    await expect(session()).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })

  test('without the option nobody is there', () => {
    const session = stdioSession({ stdio: undefined, clock: fakeClock(), registry: world().registry })
    expect(() => session()).toThrow(expect.objectContaining({ code: 'ERR_SESSION_INVALID' }))
  })
})
