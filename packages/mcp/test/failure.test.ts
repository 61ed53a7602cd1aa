import { DelegationError } from '@mcp-delegation/core'
import { expect, test } from 'vitest'
import { requestError, requestFailure, toolError, toolFailure } from '../src/failure.ts'

const details = {
  'mcp-delegation/code': 'ERR_RATE_LIMITED',
  'mcp-delegation/retryAfter': '2030-01-01T00:00:00.000Z',
}
const limited = new DelegationError('ERR_RATE_LIMITED', 'wait', {
  retryAfter: new Date('2030-01-01T00:00:00Z'),
  cause: new Error('hunter2'),
})

test('an error says the same in a result and in a JSON-RPC error, and nothing of its cause', () => {
  expect(toolError(limited)).toEqual({ content: [{ type: 'text', text: 'wait' }], isError: true, _meta: details })
  expect(requestError(limited)).toMatchObject({ code: -32603, message: 'wait', data: details })
  expect(requestError(limited).cause).toBeUndefined()
  expect(toolFailure('tool failed')).toEqual({
    content: [{ type: 'text', text: 'tool failed' }],
    isError: true,
    _meta: {},
  })
  expect(requestFailure('prompt failed')).toMatchObject({ code: -32603, message: 'prompt failed', data: undefined })
})

test('what the caller may not use is answered as what does not exist is: with invalid params', () => {
  const scopes = ['a']
  expect(requestError(new DelegationError('ERR_SESSION_SCOPE', 'more', { scopes }))).toMatchObject({
    code: -32602,
    data: { 'mcp-delegation/code': 'ERR_SESSION_SCOPE', 'mcp-delegation/scopes': ['a'] },
  })
  expect(requestError(new DelegationError('ERR_TOOL_DENIED', 'no')).code).toBe(-32602)
  expect(requestError(new DelegationError('ERR_SESSION_BLOCKED', 'no')).code).toBe(-32603)
})
