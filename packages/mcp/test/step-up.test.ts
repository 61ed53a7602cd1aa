import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { operations } from '../src/operations.ts'
import { checkOptions } from '../src/options.ts'
import { createStepUp } from '../src/step-up.ts'
import { world } from './support.ts'

function stepUpOf(...given: Parameters<typeof world>) {
  const { options, records, log } = world(...given)
  const settings = checkOptions(options)
  const required = operations(settings)
  required.require('erase', ['items:delete'])
  return { stepUp: createStepUp(settings, required), records, log }
}

test('who lacks a scope is told every scope that the call needs, and that is recorded once', async () => {
  const { stepUp, records } = stepUpOf({ requiredScopes: ['mcp'] })
  const session = testSession({ scopes: new Set(['mcp']), groups: new Set(['staff']) })
  expect(await stepUp({ kind: 'tool', name: 'erase' }, session)).toEqual(['mcp', 'items:delete'])
  expect(records).toMatchObject([
    { event: 'tool', outcome: 'denied', tool: 'erase', code: 'ERR_SESSION_SCOPE', subject: 'alice', groups: ['staff'] },
  ])
})

test('who lacks none, or whom no scope would help, is left to the guard', async () => {
  const { stepUp, records } = stepUpOf(
    {},
    { policy: { tool: () => ({ allowed: false, reason: 'no' }), delegation: () => ({ allowed: true }) } },
  )
  expect(
    await stepUp({ kind: 'tool', name: 'erase' }, testSession({ scopes: new Set(['items:delete']) })),
  ).toBeUndefined()
  expect(await stepUp({ kind: 'tool', name: 'stock' }, testSession())).toBeUndefined()
  expect(records).toEqual([])
})

test('the refusal stands where it cannot be recorded', async () => {
  const { stepUp, log } = stepUpOf({}, { audit: () => Promise.reject(new Error('disk full')) })
  expect(await stepUp({ kind: 'tool', name: 'erase' }, testSession())).toEqual(['items:delete'])
  expect(log.entries).toMatchObject([{ level: 'error', message: 'a refusal could not be recorded' }])
})
