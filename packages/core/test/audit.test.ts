import { type AuditRecord, DelegationRegistry, pinoAudit } from '@mcp-delegation/core'
import { memoryAudit, testSession } from '@mcp-delegation/core/testing'
import pino from 'pino'
import { expect, test } from 'vitest'
import { testModule, testRegistry } from './support.ts'

const tool = (record: object): AuditRecord =>
  ({
    event: 'tool',
    outcome: 'ok',
    at: new Date(0),
    act: [],
    groups: [],
    arguments: {},
    durationMs: 1,
    ...record,
  }) as unknown as AuditRecord

test('what an adapter records is bounded and escaped on its way to the sink', async () => {
  const audit = memoryAudit()
  const registry = new DelegationRegistry({ modules: {}, audit, policy: 'backend-decides' })
  await registry.audit(
    tool({
      tool: 'x'.repeat(10_000),
      groups: Array.from({ length: 1_000 }, () => 'a\u202eb'),
      arguments: {
        'k\u0000': 'a\nb',
        deep: { a: { b: { c: { d: 1 } } } },
        fn: () => 1,
        map: new Map([['secret', 1]]),
        n: 1n,
      },
    }),
  )
  const [record] = audit.records
  if (record?.event !== 'tool') throw new Error('not a tool record')
  expect(record.tool.length).toBeLessThan(1_100)
  expect(record.groups).toHaveLength(100)
  expect(record.groups[0]).toBe('a\\u{202e}b')
  expect(record.arguments).toEqual({
    'k\\u{0}': 'a\\u{a}b',
    deep: { a: { b: { c: '[too deep]' } } },
    fn: '[function]',
    map: '[object]',
    n: '[bigint]',
  })
})

test('a delegation record says who, as whom, for what, by which tool, and with what outcome', async () => {
  const module = testModule({ principal: ({ subject }) => `db-${subject}` })
  const { registry, audit, clock } = testRegistry({ module })
  const session = testSession({ act: ['agent-7'] })
  await registry.delegate('module', session, { target: 'x' }, { tool: 'list\u202e' })
  expect(audit.records).toEqual([
    {
      event: 'delegation',
      outcome: 'issued',
      at: new Date(clock.now()),
      sessionId: session.id,
      issuer: 'https://idp.example',
      subject: 'alice',
      clientId: 'test-client',
      act: ['agent-7'],
      durationMs: expect.any(Number),
      code: undefined,
      reason: undefined,
      traceId: undefined,
      tool: 'list\\u{202e}',
      module: 'module',
      type: 'test',
      target: 'x',
      principal: 'db-alice',
    },
  ])
  expect(Object.isFrozen(audit.records[0])).toBe(true)
})

test('the principal in audit is the one that the backend saw, where the module knows it only then', async () => {
  const module = testModule()
  const { registry, audit } = testRegistry({
    module: {
      ...module,
      issue: async (request, context) => ({ ...(await module.issue(request, context)), principal: 'v-alice-7f' }),
    },
  })
  for (let call = 0; call < 2; call++)
    expect((await registry.delegate('module', testSession(), { target: 'x' })).principal).toBe('v-alice-7f')
  expect(audit.records).toMatchObject([{ principal: 'v-alice-7f' }, { principal: 'v-alice-7f' }])
})

test('pino gets each record as fields, at level info', async () => {
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(line) })
  const { registry } = testRegistry({ module: testModule() }, { audit: pinoAudit(logger) })
  await registry.delegate('module', testSession(), { target: 'x' })
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 30, event: 'delegation', outcome: 'issued', subject: 'alice', msg: 'audit: delegation' },
  ])
  expect(() => pinoAudit({} as never)).toThrow('"logger"')
})

test('a refusal says why, in the words that the caller got', async () => {
  const principal = (): string => 'root'
  const { registry, audit } = testRegistry({ module: testModule({ principal }) })
  await registry.delegate('module', testSession({ subject: 'alice' }), { target: 'x' })
  await registry.delegate('module', testSession({ subject: 'bob' }), { target: 'x' }).catch(() => {})
  expect(audit.records).toMatchObject([
    { reason: undefined },
    { code: 'ERR_DELEGATION_DENIED', reason: 'principal_conflict: the account belongs to another identity' },
  ])
})
