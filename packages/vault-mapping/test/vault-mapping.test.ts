import { createServer, type Socket } from 'node:net'
import type { DelegationModule } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { appRoleLogin } from '../src/logins/app-role-login.ts'
import { jwtLogin } from '../src/logins/jwt-login.ts'
import { kv2 } from '../src/sources/kv2.ts'
import { vaultMapping } from '../src/vault-mapping.ts'
import { standIn } from './fixtures/http-stand-in.ts'
import { testSurroundings } from './stand-in.ts'

/** A server that takes every connection and never answers. */
const sockets = new Set<Socket>()
const server = createServer((socket) => {
  sockets.add(socket.on('error', () => {}))
})
let address = ''
beforeEach(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as { port: number }).port}`
})
afterEach(async () => {
  vi.useRealTimers()
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

test('it can be disposed of while a server hangs, however much waits for it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const issuers = [{ issuer: testSession().issuer, claim: 'sub' }]
  const targets = { vcenter: kv2({ path: 'users/{principal}/vcenter' }) }
  const module: DelegationModule<{ target: string }, unknown> = vaultMapping({
    ...{ address, principal: { issuers }, targets, login: jwtLogin({ role: 'user' }) },
    ...{ timeout: 60_000, connections: 1 },
  })
  const callers = Array.from({ length: 100 }, () => new AbortController())
  const asked = callers.map(({ signal }, index) => {
    const session = testSession({ subject: `user${index}` })
    return module.issue({ target: 'vcenter' }, { ...testSurroundings(), principal: 'alice', signal, session })
  })
  await vi.waitFor(() => expect(sockets.size).toBe(1))
  for (const caller of callers) caller.abort(new Error('gone'))
  expect((await Promise.allSettled(asked)).every(({ status }) => status === 'rejected')).toBe(true)
  const disposed = module.dispose?.().then(() => 'disposed')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await Promise.race([disposed, new Promise((resolve) => setImmediate(() => setImmediate(resolve)))])).toBe(
    'disposed',
  )
})

test('a check of a server that has its own token says whether Vault can serve now, and replaces a dead token', async () => {
  let isUp = true
  let logins = 0
  await using vault = await standIn((response, { url, headers }) => {
    const answer = (status: number, body: object): void => void response.writeHead(status).end(JSON.stringify(body))
    if (!isUp) return answer(503, { errors: ['Vault is sealed'] })
    if (url.endsWith('/login')) {
      logins++
      return answer(200, { auth: { client_token: `token-${logins}`, lease_duration: 600, renewable: true } })
    }
    if (url.endsWith('/lookup-self') && headers['x-vault-token'] === 'token-1')
      return answer(403, { errors: ['permission denied'] })
    return answer(200, { data: {} })
  })
  const issuers = [{ issuer: testSession().issuer, claim: 'sub' }]
  const targets = { vcenter: kv2({ path: 'users/{principal}/vcenter' }) }
  const login = appRoleLogin({ roleId: 'id', secretId: async () => 'secret' })
  const module = vaultMapping({ address: vault.origin, principal: { issuers }, targets, login, tries: 1 })
  const { signal } = new AbortController()
  for (let count = 0; count < 2; count++) expect(await module.check?.({ signal })).toBe(undefined)
  expect(logins).toBe(2)
  isUp = false
  await expect(module.check?.({ signal })).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  isUp = true
  expect(await module.check?.({ signal })).toBe(undefined)
  await module.dispose?.()
})
