import { DelegationError, type ToolRecord } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test, vi } from 'vitest'
import { asksForUrl, createGuard, type Call as GuardedCall } from '../src/guard.ts'
import { operations } from '../src/operations.ts'
import { checkOptions } from '../src/options.ts'
import { type Modules, world } from './support.ts'

type Call = GuardedCall<Modules, string>
const GOOD = { content: [{ type: 'text' as const, text: 'good' }] }

function guarded(...given: Parameters<typeof world>) {
  const { options, registry, records, log } = world(...given)
  const settings = checkOptions(options)
  const guard = createGuard(settings, operations(settings))
  const session = testSession({ groups: new Set(['staff', 'admins']) })
  const run = <Result>(
    handler: (args: never, call: Call) => Promise<Result>,
    call: Partial<Parameters<typeof guard.run>[0]> = {},
    passes?: Parameters<typeof guard.run>[2],
  ) => {
    const { signal } = new AbortController()
    const whole = {
      kind: 'tool' as const,
      name: 'stock',
      args: { item: 'bolt' },
      signal,
      session: () => session,
      ...call,
      context: 'context',
    }
    return guard.run(whole, handler, passes)
  }
  const tools = (): readonly ToolRecord[] => records.filter((record): record is ToolRecord => record.event === 'tool')
  return { run, registry, records, tools, log, session }
}

describe('a call', () => {
  test('hands over arguments, session, signal and context, and is recorded once', async () => {
    const { run, session, tools } = guarded()
    const { signal } = new AbortController()
    const seen: unknown[] = []
    const result = await run(
      async (args, call) => {
        seen.push(args, call.session, call.signal, call.context)
        return GOOD
      },
      { signal },
    )
    expect(result).toBe(GOOD)
    expect(seen).toEqual([{ item: 'bolt' }, session, signal, 'context'])
    expect(tools()).toEqual([
      {
        event: 'tool',
        outcome: 'ok',
        tool: 'stock',
        at: expect.any(Date),
        sessionId: session.id,
        issuer: 'https://idp.example',
        subject: 'alice',
        clientId: 'test-client',
        act: [],
        durationMs: expect.any(Number),
        code: undefined,
        reason: undefined,
        groups: ['staff', 'admins'],
        arguments: {},
      },
    ])
  })

  test('is recorded with its duration', async () => {
    const { run, tools } = guarded()
    const clock = vi.spyOn(performance, 'now').mockReturnValueOnce(1_000).mockReturnValueOnce(1_250)
    await run(async () => GOOD)
    clock.mockRestore()
    expect(tools()[0]?.durationMs).toBe(250)
  })

  test('passes every kind of result through, and records an error result as failed', async () => {
    const { run, tools } = guarded()
    const asking = { resultType: 'input_required', requestState: 'x' }
    expect(await run(async () => asking)).toBe(asking)
    expect(await run(async () => undefined)).toBe(undefined)
    const failing = { ...GOOD, isError: true }
    expect(await run(async () => failing)).toBe(failing)
    expect(tools().map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'failed'])
  })
})

describe('an error', () => {
  test('of this framework keeps its message, code, scopes and time', async () => {
    const { run, tools } = guarded()
    const retryAfter = new Date('2030-01-01T00:00:00Z')
    const result = await run(async () => {
      throw new DelegationError('ERR_RATE_LIMITED', 'too many', {
        retryAfter,
        scopes: ['a'],
        cause: new Error('inner'),
      })
    })
    expect(result).toEqual({
      content: [{ type: 'text', text: 'too many' }],
      isError: true,
      _meta: {
        'mcp-delegation/code': 'ERR_RATE_LIMITED',
        'mcp-delegation/retryAfter': '2030-01-01T00:00:00.000Z',
        'mcp-delegation/scopes': ['a'],
      },
    })
    expect(tools()).toMatchObject([{ outcome: 'failed', code: 'ERR_RATE_LIMITED' }])
  })

  test.each([
    new Error('password hunter2'),
    'a string',
    undefined,
    null,
    Object.assign(new Error('x'), { code: 'ERR_SESSION_SCOPE' }),
  ])('of anybody else is "tool failed": %s', async (thrown) => {
    const { run, tools, log } = guarded()
    const result = await run(async () => {
      throw thrown
    })
    expect(result).toEqual({ content: [{ type: 'text', text: 'tool failed' }], isError: true, _meta: {} })
    expect(tools()).toMatchObject([{ outcome: 'failed', code: undefined, reason: 'tool failed' }])
    expect(log.entries).toMatchObject([{ level: 'error', message: 'a tool failed', fields: { err: thrown } }])
  })

  test('after an abort is no failure of the tool, and not logged', async () => {
    const { run, tools, log } = guarded()
    const controller = new AbortController()
    const result = await run(
      async (_args, { signal }) => {
        controller.abort()
        signal.throwIfAborted()
        return GOOD
      },
      { signal: controller.signal },
    )
    expect(result).toMatchObject({ isError: true, content: [{ text: 'the call was cancelled' }] })
    expect(tools()).toMatchObject([{ outcome: 'failed', code: undefined }])
    expect(log.entries).toEqual([])
  })

  test('that is control flow is thrown on, and recorded as what it is', async () => {
    const { run, tools } = guarded()
    const page = Object.assign(new Error('open the page'), { code: -32042, data: { elicitations: [] } })
    const throwing = async (): Promise<never> => {
      throw page
    }
    await expect(run(throwing, {}, asksForUrl)).rejects.toBe(page)
    await expect(run(throwing, {}, () => 'failed')).rejects.toBe(page)
    expect(await run(throwing, {}, () => undefined)).toMatchObject({ isError: true })
    expect(tools().map(({ outcome }) => outcome)).toEqual(['ok', 'failed', 'failed'])
    expect(asksForUrl(new Error('x'))).toBeUndefined()
    expect(asksForUrl({ code: -32042, data: { elicitations: [] } })).toBeUndefined()
    expect(asksForUrl(Object.assign(new Error('SECRET'), { code: -32042 }))).toBeUndefined()
  })
})

describe('nobody gets in', () => {
  const handler = vi.fn(async () => GOOD)

  test('who is blocked', async () => {
    const { run, registry, session, tools } = guarded()
    await registry.block(session)
    expect(await run(handler)).toMatchObject({ _meta: { 'mcp-delegation/code': 'ERR_SESSION_BLOCKED' } })
    expect(tools()).toMatchObject([{ outcome: 'denied', code: 'ERR_SESSION_BLOCKED', subject: 'alice' }])
  })

  test('whose session was ended, or has expired', async () => {
    const clock = fakeClock()
    const { run, registry, session, tools } = guarded({ clock })
    clock.set(new Date(session.expiresAt.getTime() - 1))
    expect(await run(async () => GOOD)).toBe(GOOD)
    clock.tick(1)
    expect(await run(handler)).toMatchObject({ _meta: { 'mcp-delegation/code': 'ERR_SESSION_EXPIRED' } })
    await registry.endSession(session)
    expect(await run(handler)).toMatchObject({ _meta: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' } })
    expect(tools().map(({ code }) => code)).toEqual([undefined, 'ERR_SESSION_EXPIRED', 'ERR_SESSION_INVALID'])
  })

  test('whose session is missing, or cannot be made', async () => {
    const { run, tools, log } = guarded()
    const missing = await run(handler, { session: () => undefined as never })
    expect(missing).toMatchObject({ _meta: { 'mcp-delegation/code': 'ERR_SESSION_INVALID' } })
    const outage = new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'no provider')
    expect(await run(handler, { session: () => Promise.reject(outage) })).toMatchObject({ isError: true })
    expect(await run(handler, { session: () => Promise.reject(new Error('secret')) })).toMatchObject({
      content: [{ text: 'tool failed' }],
    })
    expect(tools()).toMatchObject([
      { outcome: 'denied', subject: undefined },
      { outcome: 'failed', code: 'ERR_DELEGATION_UNAVAILABLE' },
      { outcome: 'failed', code: undefined },
    ])
    expect(log.entries.filter(({ level }) => level === 'error')).toHaveLength(1)
  })

  test('whom the policy refuses, whatever it answers', async () => {
    for (const tool of [
      () => ({ allowed: false as const, reason: 'no\u0000\u202e' }),
      () => {
        throw new Error('broken')
      },
      () => Promise.resolve({ allowed: true }) as never,
    ]) {
      const { run, tools } = guarded({}, { policy: { tool, delegation: () => ({ allowed: true }) } })
      const result = await run(handler)
      expect(result).toMatchObject({ isError: true, _meta: { 'mcp-delegation/code': 'ERR_TOOL_DENIED' } })
      expect(JSON.stringify(result)).not.toMatch(/\\u0000|\u202e/)
      expect(tools()).toMatchObject([{ outcome: 'denied', code: 'ERR_TOOL_DENIED' }])
    }
  })

  test('so no handler ran', () => {
    expect(handler).not.toHaveBeenCalled()
  })
})

describe('a lease', () => {
  test('that the handler leaves open is given back when it is done', async () => {
    const { run, registry } = guarded()
    await run(async (_args, { delegate }) => {
      await delegate('names', {})
      await delegate('names', { other: 1 })
      expect(registry.stats().names.leases).toBe(2)
      return GOOD
    })
    expect(registry.stats().names.leases).toBe(0)
  })

  test('is given back also when the handler fails', async () => {
    const { run, registry } = guarded()
    await run(async (_args, { delegate }) => {
      await delegate('names', {})
      throw new Error('late')
    })
    expect(registry.stats().names.leases).toBe(0)
  })

  test('that the handler has disposed is not disposed again', async () => {
    const { run, registry } = guarded()
    const other = await registry.delegate('names', testSession(), {})
    await run(async (_args, { delegate }) => {
      await using lease = await delegate('names', {})
      return { ...GOOD, _meta: { name: lease.value.name } }
    })
    expect(registry.stats().names.leases).toBe(1)
    await other[Symbol.asyncDispose]()
    expect(registry.stats().names.leases).toBe(0)
  })

  test('that arrives after the end is given back at once, and its failure bothers nobody', async () => {
    const { run, registry } = guarded()
    let pending: Promise<unknown> | undefined
    let later: Call['delegate'] | undefined
    await run(async (_args, { delegate }) => {
      later = delegate
      pending = delegate('names', {})
      void delegate('nope' as 'names', {})
      return GOOD
    })
    await pending
    await vi.waitFor(() => expect(registry.stats().names.leases).toBe(0))
    await expect(later?.('names', {})).rejects.toMatchObject({ code: 'ERR_SESSION_INVALID' })
  })

  test('is asked for in the name of the tool, and with its signal', async () => {
    const { run, records } = guarded()
    const controller = new AbortController()
    await run(
      async (_args, { delegate }) => {
        await delegate('names', {})
        controller.abort(new Error('gone'))
        await expect(delegate('names', { another: true })).rejects.toThrow('gone')
        return GOOD
      },
      { signal: controller.signal },
    )
    expect(records.filter(({ event }) => event === 'delegation')).toMatchObject([
      { tool: 'stock', outcome: 'issued', subject: 'alice' },
      { tool: 'stock', outcome: 'aborted' },
    ])
  })
})

describe('the record', () => {
  test('holds the listed arguments that are there, and nothing inherited', async () => {
    const auditedArguments = { stock: ['item', 'missing', 'toString'] }
    const { run, tools } = guarded({ auditedArguments })
    await run(async () => GOOD, { args: { item: 'bolt', password: 'hunter2' } })
    for (const args of [undefined, null, 'text']) await run(async () => GOOD, { args })
    expect(tools().map((record) => record.arguments)).toEqual([{ item: 'bolt' }, {}, {}, {}])
  })

  test('that cannot be written turns the answer into ERR_AUDIT_FAILED and is logged', async () => {
    const { run, log } = guarded({}, { audit: () => Promise.reject(new Error('disk full')) })
    expect(await run(async () => GOOD)).toMatchObject({ _meta: { 'mcp-delegation/code': 'ERR_AUDIT_FAILED' } })
    expect(log.entries).toMatchObject([{ level: 'error', message: 'the use of a tool could not be recorded' }])
  })
})

describe('whatever is thrown', () => {
  const hostile = new Proxy(new Error('SECRET'), {
    get: () => {
      throw new Error('SECRET')
    },
  })
  test.each([
    ['an error that can not be looked at', hostile],
    ['a time that is none', new DelegationError('ERR_RATE_LIMITED', 'wait', { retryAfter: new Date(Number.NaN) })],
    ['scopes that are none', new DelegationError('ERR_SESSION_SCOPE', 'more', { scopes: 5 as never })],
  ])('%s is one record and a result', async (_name, thrown) => {
    const { run, tools } = guarded()
    const result = await run(() => Promise.reject(thrown), {}, asksForUrl)
    expect(result).toMatchObject({ isError: true })
    expect(JSON.stringify(result)).not.toContain('SECRET')
    expect(tools()).toMatchObject([{ outcome: 'failed' }])
  })

  test('a logger that throws changes nothing', async () => {
    const fail = (): never => {
      throw new Error('LOGGER')
    }
    const { run, tools } = guarded({ log: { debug: fail, info: fail, warn: fail, error: fail } as never })
    const result = await run(() => Promise.reject(new Error('x')))
    expect(result).toMatchObject({ content: [{ text: 'tool failed' }] })
    expect(tools()).toHaveLength(1)
  })
})

test('what is audited is what was asked, not what the handler made of it', async () => {
  const { run, tools } = guarded({ auditedArguments: { stock: ['amount', 'lines'] } })
  await run(
    async (args: { amount: number; lines: number[] }) => {
      args.amount = 1
      args.lines.push(3)
      return GOOD
    },
    { args: { amount: 1_000_000, lines: [1, 2] } },
  )
  expect(tools()).toMatchObject([{ arguments: { amount: 1_000_000, lines: [1, 2] } }])
})

describe('a rate', () => {
  const policyOf = (limit: (call: unknown) => Date | undefined) => ({
    tool: ({ tool }: { tool: string }) => (tool === 'erase' ? { allowed: false as const, reason: 'no' } : ALLOWED),
    prompt: () => ALLOWED,
    delegation: () => ALLOWED,
    limit,
  })
  const ALLOWED = { allowed: true as const }

  test('is asked once for a call that is about to run, and for nothing else', async () => {
    const limit = vi.fn((_call: unknown) => undefined)
    const { run } = guarded({}, { policy: policyOf(limit) })
    await run(async () => GOOD, { name: 'erase' })
    expect(limit).not.toHaveBeenCalled()
    await run(async () => GOOD)
    await run(async () => GOOD, { kind: 'prompt', name: 'plan' })
    expect(limit.mock.calls).toMatchObject([[{ kind: 'tool' }], [{ kind: 'prompt', name: 'plan' }]])
  })

  test('that is used up is a denial which says when to come back', async () => {
    const { run, tools } = guarded({}, { policy: policyOf(() => new Date('2030-01-01T00:00:00Z')) })
    const handler = vi.fn(async () => GOOD)
    expect(await run(handler)).toMatchObject({
      isError: true,
      _meta: { 'mcp-delegation/code': 'ERR_RATE_LIMITED', 'mcp-delegation/retryAfter': '2030-01-01T00:00:00.000Z' },
    })
    expect(handler).not.toHaveBeenCalled()
    expect(tools()).toMatchObject([{ outcome: 'denied', code: 'ERR_RATE_LIMITED' }])
  })
})

describe.each(['resource', 'prompt'] as const)('a %s', (kind) => {
  test('rejects where a tool would have a result, with one record', async () => {
    const { run, records } = guarded()
    const failing = (error: Error) => run(() => Promise.reject(error), { kind, name: 'x', uri: 'x://y' })
    await expect(failing(new Error('hunter2'))).rejects.toMatchObject({ code: -32603, message: `${kind} failed` })
    await expect(failing(new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'later'))).rejects.toMatchObject({
      code: -32603,
      message: 'later',
      data: { 'mcp-delegation/code': 'ERR_DELEGATION_UNAVAILABLE' },
    })
    expect(records).toMatchObject([
      { event: kind, [kind]: 'x', outcome: 'failed' },
      { event: kind, outcome: 'failed', code: 'ERR_DELEGATION_UNAVAILABLE' },
    ])
    expect(records.map((record) => 'uri' in record && record.uri)).toEqual(
      kind === 'resource' ? ['x://y', 'x://y'] : [false, false],
    )
  })

  test('is not answered where it could not be recorded', async () => {
    const { run } = guarded({}, { audit: () => Promise.reject(new Error('disk full')) })
    await expect(run(async () => GOOD, { kind, name: 'x' })).rejects.toMatchObject({
      data: { 'mcp-delegation/code': 'ERR_AUDIT_FAILED' },
    })
  })

  test('is denied by a policy that says nothing about it', async () => {
    const policy = { tool: () => ({ allowed: true as const }), delegation: () => ({ allowed: true as const }) }
    const { run, records } = guarded({}, { policy })
    await expect(run(async () => GOOD, { kind, name: 'x' })).rejects.toMatchObject({ code: -32602 })
    expect(records).toMatchObject([{ event: kind, outcome: 'denied', code: 'ERR_TOOL_DENIED' }])
  })
})
