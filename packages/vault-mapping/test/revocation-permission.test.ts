import { secret } from '@mcp-delegation/core'
import { expect, test } from 'vitest'
import { REVOKE, revocationPermission } from '../src/revocation-permission.ts'
import { refusal, standInClient } from './stand-in.ts'

const never = new AbortController().signal
const token = secret('token')
const withCapabilities = (...capabilities: unknown[]) =>
  standInClient(async () => ({ data: { [REVOKE]: capabilities } }))

test.each([
  [['update'], true],
  [['root'], true],
  [['create', 'update', 'sudo'], true],
  [['deny'], false],
  [['read'], false],
  [[], false],
])('capabilities %j mean %s', async (capabilities, may) => {
  const permission = revocationPermission(withCapabilities(...capabilities), never)
  expect(await permission.ask(token)).toBe(may)
})

test('Vault is asked once, also by many at the same time', async () => {
  const client = withCapabilities('deny')
  const permission = revocationPermission(client, never)
  await Promise.all([1, 2, 3].map(() => permission.ask(token)))
  await permission.ask(token)
  expect(client.requests).toHaveLength(1)
})

test('where Vault can not say, the answer is yes for now, and it is asked again', async () => {
  let down = true
  const client = standInClient(async () => {
    if (down) throw refusal(503)
    return { data: { [REVOKE]: ['deny'] } }
  })
  const permission = revocationPermission(client, never)
  expect(await permission.ask(token)).toBe(true)
  down = false
  expect(await permission.ask(token)).toBe(false)
})

test('what Vault has refused is not asked for again', async () => {
  const permission = revocationPermission(withCapabilities('update'), never)
  expect(await permission.ask(token)).toBe(true)
  permission.deny()
  expect(await permission.ask(token)).toBe(false)
})
