import { readFileSync } from 'node:fs'
import { fileAudit } from '@mcp-delegation/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AuditRecord } from '../src/audit.ts'
import { type Folder, folder, issued, parsed, refused } from './audit-log/support.ts'

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place[Symbol.dispose]())

const at = (time: number): Partial<AuditRecord> => ({ at: new Date(time) })

test('repeated refusals of one kind are one record with a count, written at the end', async () => {
  const audit = fileAudit(place.log)
  for (let time = 0; time < 10; time++) await audit(refused('alice', at(time)))
  await audit(refused('bob', at(20)))
  await audit(refused(undefined, at(21)))
  await audit(refused(undefined, at(22)))
  expect(parsed(place.log).map(({ subject }) => subject)).toEqual(['alice', 'bob', undefined])
  await audit[Symbol.asyncDispose]()
  const [counted, nobody, ...more] = parsed(place.log).slice(3)
  const [first, last] = [new Date(1).toJSON(), new Date(9).toJSON()]
  expect(counted).toMatchObject({ subject: 'alice', outcome: 'refused', count: 9, since: first, at: last })
  expect(nobody).not.toHaveProperty('count')
  expect(more).toEqual([])
})

test('at the end of the window what was counted is written', async () => {
  await using audit = fileAudit(place.log, { repeats: { window: 30 } })
  for (let time = 0; time < 3; time++) await audit(refused('alice', at(time)))
  await expect.poll(() => parsed(place.log)).toMatchObject([{ subject: 'alice' }, { count: 2 }])
  await audit(refused('alice', at(9)))
  expect(parsed(place.log)).toHaveLength(3)
})

test('kinds beyond the bound, and users beyond it, are one record that says so', async () => {
  const audit = fileAudit(place.log, { repeats: { kinds: 2, users: 3 } })
  for (let tool = 0; tool < 100; tool++) await audit(refused('alice', { tool: `tool-${tool}` } as Partial<AuditRecord>))
  for (let user = 0; user < 50; user++) await audit(refused(`user-${user}`))
  await audit[Symbol.asyncDispose]()
  const records = parsed(place.log)
  expect(records).toMatchObject([
    ...[{ tool: 'tool-0' }, { tool: 'tool-1' }, { subject: 'user-0' }, { subject: 'user-1' }, { subject: 'user-2' }],
    ...[{ subject: 'alice', tool: '(several)', count: 98 }, { count: 47 }],
  ])
  expect(records.at(-1)).not.toHaveProperty('subject')
})

test('issues, failures, exports and blocks are never counted, nor anything where that is off', async () => {
  const audit = fileAudit(place.log)
  const others = [{ outcome: 'failed' }, { event: 'export' }, { event: 'block', outcome: undefined }]
  for (let each = 0; each < 3; each++) {
    await audit(issued('alice'))
    for (const other of others) await audit(refused('alice', other as Partial<AuditRecord>))
  }
  expect(parsed(place.log)).toHaveLength(12)
  await audit[Symbol.asyncDispose]()
  await using each = fileAudit(place.log, { repeats: false })
  for (let time = 0; time < 5; time++) await each(refused('alice', at(time)))
  expect(parsed(place.log)).toHaveLength(17)
})

test('when much waits, refusals yield and are counted, and issues still get in until there is no room at all', async () => {
  const audit = fileAudit(place.log, { maxQueued: 65_536 })
  const results: Promise<string>[] = []
  const keep = (record: AuditRecord): void => {
    const taken = audit(record) as Promise<void>
    results.push(
      taken.then(
        () => 'accepted',
        (error: Error) => error.message,
      ),
    )
  }
  for (let user = 0; user < 200; user++) keep(refused(`user-${user}`))
  for (let index = 0; index < 200; index++) keep(issued(`issue-${index}`))
  const settled = await Promise.all(results)
  const accepted = settled.slice(200).filter((result) => result === 'accepted').length
  expect(settled.slice(0, 200)).toEqual(Array.from({ length: 200 }, () => 'accepted'))
  expect(accepted).toBeGreaterThan(40)
  expect(new Set(settled)).toEqual(new Set(['accepted', 'too many audit records wait to be written']))
  await audit[Symbol.asyncDispose]()
  const records = parsed(place.log)
  expect(records.filter(({ outcome }) => outcome === 'issued')).toHaveLength(accepted)
  expect(new Set(records.filter(({ outcome }) => outcome === 'refused').map(({ subject }) => subject)).size).toBe(200)
  expect(readFileSync(place.log, 'utf8').endsWith('}\n')).toBe(true)
})

test('a count that can’t be written as JSON ends nothing but itself', async () => {
  const errors: unknown[] = []
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: (fields: object) => errors.push(fields) }
  const audit = fileAudit(place.log, { log: silent })
  const odd = { event: 'tool', outcome: 'denied', tool: 'x', arguments: { amount: 1n } }
  await audit(refused('alice', { ...odd, arguments: {} } as Partial<AuditRecord>))
  await audit(refused('alice', odd as Partial<AuditRecord>))
  await audit(issued('bob'))
  await audit[Symbol.asyncDispose]()
  expect(parsed(place.log).map(({ subject }) => subject)).toEqual(['alice', 'bob'])
  expect(errors).toMatchObject([{ count: 1 }])
})
