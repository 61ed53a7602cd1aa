import { expect, test, vi } from 'vitest'
import { jsonAnswer, toResponse, withHeaders } from '../src/answer.ts'

test('an answer becomes a response', async () => {
  const response = toResponse(withHeaders(jsonAnswer(403, { error: 'x' }, { 'retry-after': '1' }), { vary: 'origin' }))
  expect(response.status).toBe(403)
  expect(Object.fromEntries(response.headers)).toEqual({
    'content-type': 'application/json',
    'retry-after': '1',
    vary: 'origin',
  })
  expect(await response.json()).toEqual({ error: 'x' })
  expect(toResponse({ status: 204, headers: {}, body: undefined }).body).toBeNull()
})

test('more headers make another answer, and none the same', () => {
  const answer = jsonAnswer(401, {})
  expect(withHeaders(answer, undefined)).toBe(answer)
  withHeaders(answer, { vary: 'origin' })
  expect(answer.headers).not.toHaveProperty('vary')
})

test('a response that writes to its headers leaves the answer as it is', () => {
  const answer = jsonAnswer(401, {})
  const made = vi.spyOn(globalThis, 'Response').mockImplementation(function (this: unknown, _body, init) {
    Object.assign(init?.headers ?? {}, { 'content-length': '2' })
    return {} as Response
  })
  expect(() => toResponse(answer)).not.toThrow()
  made.mockRestore()
  expect(answer.headers).not.toHaveProperty('content-length')
})
