import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { firstMapped } from '@mcp-delegation/core'
import { fakeModule } from '@mcp-delegation/core/testing'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kv2 } from '../../src/sources/kv2.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import { optionsFor, registryOf, sessionsOf } from './support.ts'

const target = { target: 'vcenter' } as const

describe.runIf(isAvailable('the Vault lab', missing()))('who has no secret at a real server', () => {
  let lab: VaultLab
  let proxy: Server
  let isBroken = false
  let setting: ReturnType<typeof registryOf>
  beforeAll(async () => {
    lab = await vault()
    const ca = readFileSync(lab.ca)
    proxy = createServer((asked, answer) => {
      if (isBroken && !asked.url?.startsWith('/v1/auth/'))
        return void answer.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>')
      const { method, headers } = asked
      const onward = request(`${lab.address}${asked.url}`, { method, headers, ca }, (got) => {
        answer.writeHead(got.statusCode ?? 502, got.headers)
        got.pipe(answer)
      })
      asked.pipe(onward)
    }).listen(0, '127.0.0.1')
    await once(proxy, 'listening')
  }, 60_000)
  afterAll(async () => {
    proxy?.close()
    await lab?.dispose()
  })

  beforeEach(async () => {
    isBroken = false
    const secret = { data: { username: 'dora', password: 'dora-has-one' } }
    await lab.request('POST', `${lab.mounts.kv2}/data/users/dora/vcenter`, secret)
    const vcenter = kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const own = vaultMapping(optionsFor(lab, { vcenter }, { address, tls: undefined }))
    setting = registryOf({ vcenter: firstMapped(own, fakeModule('of the next module')) })
  })
  afterEach(() => setting.registry[Symbol.asyncDispose]())

  const typeFor = async (name: string): Promise<unknown> =>
    (await setting.registry.delegate('vcenter', await sessionsOf(lab)(name), target)).type

  test('is served by the next module, and who has one is not', async () => {
    expect(await typeFor('eric')).toBe('fake')
    expect(await typeFor('dora')).toBe('vault')
  })

  test('is nobody where something before the server answers 404', async () => {
    expect(await typeFor('eric')).toBe('fake')
    isBroken = true
    await expect(typeFor('dora')).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  })

  test('is nobody where the engine was disabled, though it was there a moment ago', async () => {
    expect(await typeFor('eric')).toBe('fake')
    await lab.request('DELETE', `sys/mounts/${lab.mounts.kv2}`)
    await expect(typeFor('dora')).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
    await lab.request('POST', `sys/mounts/${lab.mounts.kv2}`, { type: 'kv', options: { version: '1' } })
    await expect(typeFor('dora')).rejects.not.toMatchObject({ code: 'ERR_DELEGATION_NO_IDENTITY' })
  })
})
