import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AuditRecord } from '../src/audit.ts'
import { recordMembers } from '../src/record-members.ts'

const value = fc.oneof(
  ...[fc.string({ unit: 'binary' }), fc.string(), fc.double(), fc.boolean(), fc.constant(undefined), fc.constant(null)],
  ...[fc.date({ noInvalidDate: false }), fc.array(fc.string()), fc.dictionary(fc.string(), fc.jsonValue())],
  fc.constant(() => {}),
)

test('a record has the JSON that JSON.stringify makes of it', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), (record) => {
      expect(`{${recordMembers(record as unknown as AuditRecord).slice(1)}}`).toBe(JSON.stringify(record))
    }),
    { numRuns: 500 },
  )
})

test('of records that share most members, each has its own: what is remembered of one is not said of another', () => {
  const few = fc.constantFrom('a', 'b', 'ü"', '\ud800', undefined)
  const act = fc.constantFrom(
    [],
    ['a'],
    Object.freeze([]),
    Object.freeze(['a']),
    Object.freeze(['b']),
    Object.freeze([{}]),
  )
  const usual = fc.record({
    ...{
      event: few,
      outcome: few,
      at: fc.constantFrom(new Date(0), new Date(1)),
      sessionId: few,
      issuer: few,
      subject: few,
    },
    ...{ clientId: few, act, durationMs: fc.double(), tool: few, module: few, type: few, target: few, principal: few },
  })
  fc.assert(
    fc.property(fc.array(usual, { maxLength: 30 }), (records) => {
      for (const record of records) {
        expect(`{${recordMembers(record as unknown as AuditRecord).slice(1)}}`).toBe(JSON.stringify(record))
        if (!Object.isFrozen(record.act)) (record.act as string[]).push('more')
        expect(`{${recordMembers(record as unknown as AuditRecord).slice(1)}}`).toBe(JSON.stringify(record))
        if (!Object.isFrozen(record.act)) (record.act as string[]).pop()
      }
    }),
    { numRuns: 500 },
  )
})

test('of more sessions than are remembered, each has its own JSON still', () => {
  const members = (sessionId: string, subject: string): string =>
    recordMembers({ sessionId, issuer: 'i', subject, clientId: undefined, act: Object.freeze([]) } as never)
  for (let round = 0; round < 2; round++)
    for (let index = 0; index < 3_000; index++)
      expect(members(`${index}`, `${index + round}`)).toContain(`"${index}","issuer":"i","subject":"${index + round}"`)
})

test('members in another order, or fewer of them, are what they are', () => {
  const names = ['event', 'outcome', 'sessionId', 'issuer', 'subject', 'clientId', 'act', 'tool', 'module', 'type']
  fc.assert(
    fc.property(fc.shuffledSubarray(names), fc.integer({ min: 0, max: 3 }), (some, moved) => {
      const ordered = names.filter((name) => some.includes(name))
      const record = Object.fromEntries(
        [...ordered.slice(moved), ...ordered.slice(0, moved)].map((name) => [name, name]),
      )
      expect(`{${recordMembers(record as unknown as AuditRecord).slice(1)}}`).toBe(JSON.stringify(record))
    }),
  )
})

test('a list that can change within is written as it is each time', () => {
  const actor = { name: 'first' }
  const act = Object.freeze([actor])
  const written = (): string =>
    recordMembers({ sessionId: 'list', issuer: 'i', subject: 's', clientId: 'c', act } as never)
  expect(written()).toContain('first')
  actor.name = 'second'
  expect(written()).toContain('second')
})
