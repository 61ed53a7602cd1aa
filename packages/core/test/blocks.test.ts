import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { memoryBlocks } from '../src/blocks.ts'

test('identities, login sessions and tokens are blocked each on their own', async () => {
  const blocks = memoryBlocks()
  const session = testSession({ claims: { sid: 's1' } })
  const other = testSession({ claims: { sid: 's2' } })
  expect(blocks.standing(session)).toBe('good')
  await blocks.block({ sid: 's1' }, undefined)
  expect([blocks.standing(session), blocks.standing(other)]).toEqual(['ended', 'good'])
  await blocks.block({ id: other.id }, undefined)
  expect(blocks.standing(other)).toBe('ended')
  await blocks.block(session, undefined)
  expect(blocks.standing(other)).toBe('ended')
  await blocks.block({ issuer: session.issuer, subject: session.subject }, undefined)
  expect(blocks.standing(other)).toBe('blocked')
  await blocks.unblock(session)
  expect(blocks.standing(other)).toBe('ended')
})

test('no text of issuer and subject can be mistaken for another pair', async () => {
  const blocks = memoryBlocks()
  await blocks.block({ issuer: 'ab', subject: 'c' }, undefined)
  expect(blocks.standing(testSession({ issuer: 'a', subject: 'bc' }))).toBe('good')
  expect(blocks.standing(testSession({ issuer: 'ab', subject: 'c' }))).toBe('blocked')
})

test('a block is over at its end, also where many were made since', async () => {
  const clock = fakeClock()
  const blocks = memoryBlocks({ clock })
  const session = testSession()
  await blocks.block({ issuer: session.issuer, subject: session.subject }, new Date(clock.now() + 10))
  expect(blocks.standing(session)).toBe('blocked')
  await blocks.block({ issuer: 'https://idp.example', subject: 'forever' }, undefined)
  clock.tick(10)
  expect(blocks.standing(session)).toBe('good')
  for (let serial = 0; serial < 5_000; serial++)
    await blocks.block(
      { issuer: 'https://idp.example', subject: `user-${serial}` },
      new Date(clock.now() + 1_000 + serial),
    )
  expect(blocks.standing(testSession({ subject: 'user-0' }))).toBe('blocked')
  expect(blocks.standing(testSession({ subject: 'forever' }))).toBe('blocked')
})

test('what createSession did not make is ended', () => {
  expect(memoryBlocks().standing({ ...testSession() })).toBe('ended')
})
