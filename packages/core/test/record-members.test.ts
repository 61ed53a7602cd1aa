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
