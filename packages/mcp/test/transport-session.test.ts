import { testSession } from '@mcp-delegation/core/testing'
import { describe, expect, test } from 'vitest'
import { transportSessions } from '../src/transport-session.ts'

describe('transportSessions', () => {
  const { generator, belongs } = transportSessions()
  const alice = testSession({ subject: 'alice' })

  test('an id belongs to the caller for whom it was made, also with another token', () => {
    const id = generator(alice)()
    expect(belongs(alice, id)).toBe(true)
    expect(belongs(testSession({ subject: 'alice' }), id)).toBe(true)
    expect(generator(alice)()).not.toBe(id)
    expect(id).toMatch(/^[\x21-\x7e]+$/)
  })

  test('to nobody else: not to another subject, issuer or client', () => {
    const id = generator(alice)()
    expect(belongs(testSession({ subject: 'bob' }), id)).toBe(false)
    expect(belongs(testSession({ subject: 'alice', issuer: 'https://other.example' }), id)).toBe(false)
    expect(belongs(testSession({ subject: 'alice', clientId: 'other' }), id)).toBe(false)
    expect(belongs(testSession({ subject: 'alice', clientId: undefined }), id)).toBe(false)
  })

  test('ids that were not made here belong to nobody', () => {
    const id = generator(alice)()
    const [random = '', seal = ''] = id.split('.')
    const turned = `${random}.${seal.startsWith('A') ? 'B' : 'A'}${seal.slice(1)}`
    for (const forged of [
      '',
      'x',
      random,
      `${random}.`,
      turned,
      `${id}x`,
      crypto.randomUUID(),
      transportSessions().generator(alice)(),
    ])
      expect(belongs(alice, forged)).toBe(false)
  })

  test('nobody is no caller', () => {
    expect(() => generator(undefined)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_INVALID' }))
  })
})
