import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdir, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DelegationRegistry, fileAudit } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AuditRecord } from '../src/audit.ts'
import { testModule } from './support.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const record = (subject: string): AuditRecord => ({
  event: 'authentication',
  outcome: 'refused',
  at: new Date(0),
  sessionId: undefined,
  issuer: 'https://idp.example',
  subject,
  clientId: undefined,
  act: [],
  durationMs: 1,
  code: 'ERR_SESSION_INVALID',
  reason: undefined,
  traceId: undefined,
})

const lines = (path: string): readonly { readonly subject: string }[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

test('a record is in the file, one JSON object a line, when it is accepted', async () => {
  const path = join(folder, 'audit.jsonl')
  await using audit = fileAudit(path)
  await audit(record('alice'))
  expect(lines(path)).toMatchObject([{ subject: 'alice', at: '1970-01-01T00:00:00.000Z' }])
  await Promise.all(Array.from({ length: 1_000 }, (_, index) => audit(record(`user-${index}`))))
  expect(
    lines(path)
      .map(({ subject }) => subject)
      .slice(1),
  ).toEqual(Array.from({ length: 1_000 }, (_, index) => `user-${index}`))
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('records are appended to what the file holds', async () => {
  const path = join(folder, 'audit.jsonl')
  writeFileSync(path, '{"subject":"old"}\n')
  await using audit = fileAudit(path)
  await audit(record('new'))
  expect(lines(path).map(({ subject }) => subject)).toEqual(['old', 'new'])
})

test('a write that fails refuses its records, and the next record tries again', async () => {
  const path = join(folder, 'audit.jsonl')
  await mkdir(path)
  await using audit = fileAudit(path)
  const results = await Promise.allSettled([audit(record('a')), audit(record('b'))])
  expect(results).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
  await rmdir(path)
  await audit(record('c'))
  expect(lines(path).map(({ subject }) => subject)).toEqual(['c'])
})

test('on a full disk there is no credential', async () => {
  await using audit = fileAudit('/dev/full')
  const registry = new DelegationRegistry({ modules: { module: testModule() }, audit, policy: 'backend-decides' })
  await expect(registry.delegate('module', testSession(), { target: 'x' })).rejects.toMatchObject({
    code: 'ERR_AUDIT_FAILED',
  })
})

test('a closed file accepts nothing, and a path must be absolute', async () => {
  const audit = fileAudit(join(folder, 'audit.jsonl'))
  const accepted = audit(record('a'))
  await audit[Symbol.asyncDispose]()
  await accepted
  await expect(audit(record('b'))).rejects.toThrow('closed')
  await audit[Symbol.asyncDispose]()
  for (const path of ['audit.jsonl', '', undefined as never]) expect(() => fileAudit(path)).toThrow(TypeError)
})

test('what was counted is written when the file is closed, however little may wait', async () => {
  const path = join(folder, 'audit.jsonl')
  const audit = fileAudit(path, { maxQueued: 65_536 })
  for (let user = 0; user < 1_000; user++) for (let again = 0; again < 3; again++) await audit(record(`user-${user}`))
  await audit[Symbol.asyncDispose]()
  const written = lines(path) as readonly { readonly count?: number }[]
  expect(written.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(3_000)
})
