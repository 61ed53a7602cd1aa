import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger, SessionCredential } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { isAvailable, missing, type VcenterLab, vcenter } from '@mcp-delegation/labs/vsphere'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inSession } from '../src/in-session.ts'
import { type OpenServer, openServer } from '../src/open-server.ts'
import { readSettings, SettingsError } from '../src/settings.ts'
import type { VcenterSession } from '../src/vcenter/index.ts'

const ISSUER = 'https://idp.example.com'
const READER = 'svc-read@vsphere.local'
const OPERATOR = 'svc-power@vsphere.local'
const silent = (): void => {}
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent }

describe.runIf(isAvailable('the vSphere lab', missing()))('a server without Vault', () => {
  let lab: VcenterLab
  let folder: string
  let server: OpenServer

  beforeAll(async () => {
    lab = await vcenter({ users: [READER, OPERATOR], machines: 1, hosts: 1 })
  })
  afterAll(() => lab.dispose())
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'vsphere-server-'))
    for (const username of [READER, OPERATOR]) lab.setPassword(username, lab.users[username]?.password)
    server = await openServer(readSettings(environment()), log)
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  function environment(): Record<string, string> {
    const secret = (name: string, username: string): string => {
      const path = join(folder, name)
      writeFileSync(path, lab.users[username]?.password ?? '', { mode: 0o600 })
      return path
    }
    return {
      MCP_URL: 'https://vsphere-mcp.example.com/mcp',
      OIDC_ISSUER: ISSUER,
      VCENTER_URL: lab.address,
      VCENTER_CA_FILE: lab.ca,
      VCENTER_USER_READ_ONLY: READER,
      VCENTER_PASSWORD_FILE_READ_ONLY: secret('read', READER),
      VCENTER_USER_POWER_OPS: OPERATOR,
      VCENTER_PASSWORD_FILE_POWER_OPS: secret('power', OPERATOR),
      AUDIT_FILE: join(folder, 'audit.jsonl'),
    }
  }

  const caller = (subject: string, group: string, kind: 'user' | 'machine' = 'user') =>
    testSession({ issuer: ISSUER, subject, kind, groups: new Set([group]) })
  const lease = (session: ReturnType<typeof caller>) =>
    server.registry.delegate('vcenter', session, { target: 'vcenter' })
  const userName = async ({ handle }: SessionCredential<VcenterSession>) => handle.userName
  const loggedIn = async () => (await lab.sessions()).map((one) => one.userName).sort()

  test('gives each user a session of their own, with the account of their level', async () => {
    for (const session of [caller('rita', 'vsphere-readers'), caller('ron', 'vsphere-readers')]) {
      await using first = await lease(session)
      await using second = await lease(session)
      expect(await userName(first.value)).toBe(READER)
      expect(second.value.handle).toBe(first.value.handle)
      expect(first.principal).toBe(READER)
    }
    await using operator = await lease(caller('otto', 'vsphere-operators'))
    expect(operator.principal).toBe(OPERATOR)
    expect(await loggedIn()).toEqual([OPERATOR, READER, READER])
    await server[Symbol.asyncDispose]()
    expect(await loggedIn()).toEqual([])
  })

  test('denies a level without an account, a machine, and who has no level', async () => {
    for (const session of [
      caller('hugo', 'vsphere-host-admins'),
      caller('robot', 'vsphere-readers', 'machine'),
      caller('nina', 'everybody'),
    ])
      await expect(lease(session)).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
    expect(await loggedIn()).toEqual([])
  })

  test('opens another session where vCenter has ended one', async () => {
    const session = caller('rita', 'vsphere-readers')
    // Twice in a row: an administrator may end the new one as soon as it is there.
    for (const _ of [1, 2]) {
      const before = await inSession(
        () => lease(session),
        async (vcenterSession) => vcenterSession,
      )
      await lab.terminate(before.key)
      const after = await inSession(
        () => lease(session),
        async (vcenterSession) => {
          await vcenterSession.currentTime()
          return vcenterSession
        },
      )
      expect(after).not.toBe(before)
      expect(await loggedIn()).toEqual([READER])
    }
  })

  test('denies a wrong password without naming account or password, and takes the right one when it is there', async () => {
    lab.setPassword(READER, 'another')
    const session = caller('rita', 'vsphere-readers')
    const error = await lease(session).then(
      () => undefined,
      (reason: Error) => reason,
    )
    expect(error).toMatchObject({
      code: 'ERR_DELEGATION_DENIED',
      message: "vCenter does not accept the caller's account",
      cause: { code: 'ERR_VCENTER_LOGIN' },
    })
    const audit = readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    expect(audit).toContain('ERR_DELEGATION_DENIED')
    expect(audit).not.toContain(lab.users[READER]?.password)
    // Nor is the same password tried again, for whomever, so that the account they share is not locked.
    lab.setPassword(READER, lab.users[READER]?.password)
    const other = caller('ron', 'vsphere-readers')
    await expect(lease(other)).rejects.toMatchObject({
      code: 'ERR_DELEGATION_DENIED',
      cause: { message: 'the same password was refused less than a minute ago' },
    })
    // Another one is.
    lab.setPassword(READER, 'another')
    writeFileSync(join(folder, 'read'), 'another')
    await using served = await lease(caller('rosa', 'vsphere-readers'))
    expect(served.principal).toBe(READER)
  })

  test('tells an outage of vCenter from a refusal', async () => {
    await lab.halt()
    try {
      await expect(lease(caller('rita', 'vsphere-readers'))).rejects.toMatchObject({
        code: 'ERR_DELEGATION_UNAVAILABLE',
        cause: { code: 'ERR_VCENTER_UNAVAILABLE', message: expect.stringContaining('no answer (ECONNREFUSED)') },
      })
    } finally {
      await lab.restart()
    }
    await using served = await lease(caller('rita', 'vsphere-readers'))
    expect(served.principal).toBe(READER)
  })

  test('does not start without its secrets', async () => {
    const missingSecret = { ...environment(), VCENTER_PASSWORD_FILE_READ_ONLY: join(folder, 'nowhere') }
    await expect(openServer(readSettings(missingSecret), log)).rejects.toMatchObject({
      message: 'the secret of "VCENTER_PASSWORD_FILE_READ_ONLY" could not be read',
    })
    mkdirSync(join(folder, 'open'))
    const open = join(folder, 'open', 'read')
    writeFileSync(open, 'readable by all', { mode: 0o644 })
    await expect(
      openServer(readSettings({ ...environment(), VCENTER_PASSWORD_FILE_READ_ONLY: open }), log),
    ).rejects.toMatchObject({ cause: { message: expect.stringContaining('may be read by others') } })
  })

  test('does not start without a place for its audit', async () => {
    const elsewhere = join(folder, 'nowhere', 'audit.jsonl')
    const key = join(folder, 'key')
    writeFileSync(key, 'no key', { mode: 0o600 })
    const open = (more: Readonly<Record<string, string>>) =>
      openServer(readSettings({ ...environment(), ...more }), log)
    await expect(open({ AUDIT_FILE: elsewhere })).rejects.toThrow(
      new SettingsError('AUDIT_FILE must be in a folder that can be written to'),
    )
    await expect(open({ AUDIT_KEY_FILE: key, AUDIT_CHECKPOINT_FILE: elsewhere })).rejects.toThrow(
      new SettingsError('AUDIT_CHECKPOINT_FILE must be in a folder that can be written to'),
    )
    await expect(open({ AUDIT_KEY_FILE: key, AUDIT_CHECKPOINT_FILE: join(folder, 'held') })).rejects.toThrow(
      new SettingsError('AUDIT_KEY_FILE must be a private key: a KeyObject, a CryptoKey, a JWK or PEM'),
    )
    await expect(open({ AUDIT_FILE: folder })).rejects.toThrow(
      new SettingsError('AUDIT_FILE must be a file that can be written to'),
    )
  })

  test.each<[string, Readonly<Record<string, string>>]>([
    ['MCP_URL must be an https URL', { MCP_URL: 'http://mcp.example.com/mcp' }],
    ['MCP_SCOPE must be', { MCP_SCOPE: 'two scopes' }],
    ['MCP_ALLOWED_ORIGINS must be', { MCP_ALLOWED_ORIGINS: 'app.example.com' }],
    ['OIDC_ISSUER must be an https URL', { OIDC_ISSUER: 'http://idp.example.com' }],
    ['VCENTER_URL must be an https: URL', { VCENTER_URL: 'http://vcenter.example.com' }],
    ['VAULT_ADDR must be https', { VAULT_ADDR: 'http://vault.example.com' }],
    ['VAULT_NAMESPACE must be', { VAULT_ADDR: 'https://vault.example.com', VAULT_NAMESPACE: 'a b' }],
    ['VAULT_CACERT must be PEM', { VAULT_ADDR: 'https://vault.example.com', VAULT_CACERT: '/dev/null' }],
    ['VAULT_JWT_ROLE must be', { VAULT_ADDR: 'https://vault.example.com', VAULT_JWT_ROLE: 'two roles' }],
    ['VCENTER_USER_POWER_OPS must not be the one of level "READ_ONLY"', { VCENTER_USER_POWER_OPS: READER }],
    ['VAULT_KV_PATH must hold one of', { VAULT_ADDR: 'https://vault.example.com', VAULT_KV_PATH: 'users/all' }],
  ])('does not start with what a module refuses, and says: %s', async (line, more) => {
    const opened = openServer(readSettings({ ...environment(), ...more }), log)
    await expect(opened).rejects.toBeInstanceOf(SettingsError)
    await expect(opened).rejects.toThrow(new RegExp(`^${line}`))
  })

  test('tells an operator at the start what is configured, without secrets', () => {
    const summary = server.summary()
    expect(summary).toContain('MCP server: https://vsphere-mcp.example.com/mcp, streamable HTTP on 127.0.0.1:8080')
    expect(summary).toContain(`POWER_OPS: 9 more tools, by vsphere-operators, shared account ${OPERATOR}`)
    expect(summary).toContain('vcenter: service-account')
    expect(summary).not.toContain(lab.users[READER]?.password)
  })

  describe('over HTTP', () => {
    let http: Server
    let origin: string
    beforeEach(async () => {
      http = createServer(server.answer)
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
      origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    })
    afterEach(() => {
      http.close()
      http.closeAllConnections()
    })

    test('says that it lives and is ready, to anybody', async () => {
      expect((await fetch(`${origin}/healthz`)).status).toBe(200)
      expect((await fetch(`${origin}/readyz?now`)).status).toBe(200)
    })

    test('says that it is not ready where a password is gone', async () => {
      rmSync(join(folder, 'read'))
      expect((await fetch(`${origin}/readyz`)).status).toBe(503)
      expect((await fetch(`${origin}/healthz`)).status).toBe(200)
    })

    test('answers nobody else without a token', async () => {
      for (const path of ['/mcp', '/healthz/', '/readyz/../mcp', '/']) {
        const answer = await fetch(origin + path, { method: 'POST', body: '{}' })
        expect(answer.status).toBe(401)
        expect(answer.headers.get('www-authenticate')).toContain(
          'resource_metadata="https://vsphere-mcp.example.com/.well-known/oauth-protected-resource/mcp"',
        )
      }
    })
  })
})
