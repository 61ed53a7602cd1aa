import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { auditLogFiles, verifyAuditLog } from '@mcp-delegation/core/audit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Folder, folder, issued, keys, linesIn, sealed } from './support.ts'

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place[Symbol.dispose]())

async function write(count: number): Promise<void> {
  await using audit = sealed(place)
  for (let index = 0; index < count; index++) await audit(issued(`user-${index}`))
}

const verify = async () =>
  verifyAuditLog({ files: await auditLogFiles(place.log), keys: [keys.publicKey], checkpoints: place.witness })

test('a line of a number far ahead that a restart records as torn does not hide a cut after it', async () => {
  await write(3)
  appendFileSync(place.log, `{"seq":900000000,"x":1,"hash":"${'A'.repeat(43)}"}\n`)
  await write(30)
  const whole = await verify()
  expect(whole).toMatchObject({ ok: true, restarts: [{ tornBytes: 77 }], unwitnessed: 0 })
  expect(whole.witnessed).toEqual(whole.sealed)
  const lines = linesIn(place.log)
  for (let left = 8; left < lines.length; left++) {
    writeFileSync(
      place.log,
      lines
        .slice(0, left)
        .map((line) => `${line}\n`)
        .join(''),
    )
    expect((await verify()).counts, `${left} lines`).toMatchObject({ truncated: 1 })
  }
})

test('what is held is compared with the last line, also where that one was changed', async () => {
  await write(3)
  const lines = linesIn(place.log).slice(0, -1)
  writeFileSync(place.log, `${lines.join('\n').replace('user-2', 'user-9')}\n`)
  expect(readFileSync(place.log, 'utf8')).toContain('user-9')
  expect((await verify()).counts).toMatchObject({ changed: 1, truncated: 1 })
})
