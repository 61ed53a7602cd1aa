import { open as openFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import {
  type ActiveDirectory,
  type ApacheBackend,
  activeDirectory,
  apacheBackend,
} from '@mcp-delegation/labs/active-directory'
import { afterEach, beforeEach, expect } from 'vitest'
import { disposing, refusalOf, seenBy, test } from './support.ts'

let lab: ActiveDirectory
let backend: ApacheBackend

beforeEach(async () => {
  lab = await activeDirectory()
  backend = await apacheBackend(lab)
}, 60_000)

afterEach(async () => {
  lab?.resume()
  await backend?.dispose()
  await lab?.dispose()
})

const open = disposing()

test('without a KDC a cached ticket works, an uncached one fails at once, and both work when it is back', async () => {
  const { ask } = open(lab)
  const ticket = await ask('alice')
  await lab.halt()
  const start = performance.now()
  expect(await refusalOf(ask('bob'))).toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
    reason: 'kdc-unreachable',
  })
  expect(performance.now() - start).toBeLessThan(3_000)
  expect(await seenBy(backend.origin, await ticket.value.negotiate())).toBe('alice@CORP.EXAMPLE')
  const again = await ask('alice')
  expect(await seenBy(backend.origin, await again.value.negotiate())).toBe('alice@CORP.EXAMPLE')
  await lab.restart()
  await expect(ask('bob')).resolves.toMatchObject({ principal: 'bob@CORP.EXAMPLE' })
})

test('while the KDC hangs, calls end at the deadline, cached tickets and files work, and all is well after it', async () => {
  const deadline = 1_000
  const { ask } = open(lab, { deadline })
  const ticket = await ask('alice')
  lab.pause()
  const slow: number[] = []
  const attempts = Array.from({ length: 12 }, async (_, index) => {
    const start = performance.now()
    const refusal = await refusalOf(ask(`user${String(index + 1).padStart(2, '0')}`))
    slow.push(performance.now() - start)
    return refusal
  })
  expect(await seenBy(backend.origin, await ticket.value.negotiate())).toBe('alice@CORP.EXAMPLE')
  const file = await openFile('/proc/self/stat')
  await file.read(Buffer.alloc(16), 0, 16, 0)
  await file.close()
  const refusals = await Promise.all(attempts)
  expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['ERR_DELEGATION_UNAVAILABLE']))
  // Who waited for a turn until the deadline is not told why.
  const told = refusals.filter(({ reason }) => reason !== undefined)
  expect(told.length).toBeGreaterThanOrEqual(8)
  expect(told.every(({ reason }) => /^kdc-silent/.test(reason ?? ''))).toBe(true)
  expect(Math.max(...slow)).toBeLessThan(2 * deadline)
  const next = await refusalOf(ask('bob'))
  expect(next).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', reason: 'kdc-silent-lately' })
  lab.resume()
  await expect
    .poll(
      () =>
        ask('bob').then(
          ({ principal }) => principal,
          () => 'not yet',
        ),
      { timeout: 15_000, interval: 200 },
    )
    .toBe('bob@CORP.EXAMPLE')
}, 60_000)

test('a KDC whose host is not known is told from one that does not answer', async () => {
  const { ask } = open({ ...lab, kdc: 'kdc.does-not-exist.invalid' })
  expect(await refusalOf(ask('alice'))).toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
    reason: expect.stringMatching(/^kdc-un/),
  })
})

test('check says whether the service can log in', async () => {
  const { registry } = open(lab)
  await expect(registry.check()).resolves.toEqual({ intranet: undefined })
  await registry[Symbol.asyncDispose]()
  const other = open(lab)
  await lab.halt()
  await expect(other.registry.check()).resolves.toMatchObject({
    intranet: { code: 'ERR_DELEGATION_UNAVAILABLE' },
  })
})

test('for a user who is blocked meanwhile the KDC is asked for no ticket of a target', async () => {
  const { ask, registry } = open(lab)
  const bob = await ask('bob')
  const start = lab.mark()
  lab.pause()
  const refusal = refusalOf(ask('alice'))
  await new Promise((resolve) => setTimeout(resolve, 100))
  await registry.block({ issuer: 'https://idp.example', subject: 'alice' })
  expect(await refusal).toMatchObject({ code: 'ERR_SESSION_BLOCKED' })
  // What it was asked after the block, the helper process does after it.
  await bob.value.negotiate()
  lab.resume()
  // The order of somebody else comes after it.
  await ask('user01')
  const asked = lab.requests(start).filter(({ impersonated }) => impersonated === 'alice@CORP.EXAMPLE')
  expect(asked.filter(({ kind }) => kind === 'S4U2Proxy')).toEqual([])
})
