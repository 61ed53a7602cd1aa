import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { auditedArguments, authenticationRecord, operationRecord } from '../src/records.ts'

const EVENT = { session: undefined, now: 1_000, durationMs: 5, code: 'ERR_SESSION_INVALID' as const, reason: 'expired' }

test('a record names the caller where there is one, and nobody else', () => {
  expect(authenticationRecord(EVENT)).toMatchObject({
    at: new Date(1_000),
    subject: undefined,
    act: [],
    reason: 'expired',
  })
  const session = testSession({ act: ['agent'], groups: new Set(['staff']) })
  expect(authenticationRecord({ ...EVENT, session })).toMatchObject({
    sessionId: session.id,
    issuer: 'https://idp.example',
    subject: 'alice',
    clientId: 'test-client',
    act: ['agent'],
  })
  expect(operationRecord({ ...EVENT, session }, { kind: 'tool', name: 'stock' }, 'denied', {})).toMatchObject({
    tool: 'stock',
    groups: ['staff'],
  })
  expect(operationRecord(EVENT, { kind: 'tool', name: 'stock' }, 'denied', {})).toMatchObject({ groups: [] })
})

test('arguments are recorded by an allow list, own ones only', () => {
  const args = { item: 'bolt', password: 'hunter2' }
  expect(auditedArguments(['item', 'toString', 'missing'], args)).toEqual({ item: 'bolt' })
  expect(auditedArguments(undefined, args)).toEqual({})
  expect(auditedArguments(['length'], 'text')).toEqual({})
})
