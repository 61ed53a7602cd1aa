import { readFile } from 'node:fs/promises'
import { memoryAudit, testSession } from '@mcp-delegation/core/testing'
import { afterAll, expect, test } from 'vitest'
import { loginOf, openRegistry } from './readme.example.ts'
import { codeOf } from './support.ts'

const VARIABLES = {
  BILLING_PASSWORD_ALICE: 'password of alice',
  BILLING_PASSWORD_READER: 'password of readers',
  BILLING_PASSWORD_ADMINISTRATOR: 'password of administrators',
}
Object.assign(process.env, VARIABLES)
afterAll(() => {
  for (const name of Object.keys(VARIABLES)) delete process.env[name]
})

test('the example of the README is the one that is tested here', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const [, snippet] = /```ts\n(.*?)```/s.exec(readme) ?? []
  expect(snippet).toBe(await readFile(new URL('readme.example.ts', import.meta.url), 'utf8'))
})

test('the example of the README does what it says', async () => {
  const audit = memoryAudit()
  await using registry = openRegistry(audit)
  const as = async (subject: string, ...groups: string[]): Promise<string> =>
    loginOf(testSession({ subject, groups: new Set(groups) }), registry).catch(codeOf)
  expect(await as('f7a1')).toBe('alice:password of alice')
  expect(await as('bob', 'billing')).toBe('billing_ro:password of readers')
  expect(await as('carol', 'billing', 'billing-admins')).toBe('billing_admin:password of administrators')
  expect(await as('mallory', 'billing-admins')).toBe('ERR_DELEGATION_DENIED')
  expect(audit.records.map((record) => 'type' in record && record.type)).toEqual([
    'user-account',
    'service-account',
    'service-account',
    'service-account',
  ])
})
