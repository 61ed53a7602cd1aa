import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { isAvailable, missing } from '@mcp-delegation/labs/vsphere'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isNotAuthenticated, type Vcenter, type VcenterSession, vcenter } from '../../src/vcenter/index.ts'

/** What a server says that is not as a vCenter should be. */
interface Reply {
  readonly status?: number
  readonly body: string | (() => Generator<string>)
  readonly cookie?: string
}

const envelope = (body: string): string =>
  `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="urn:x"><e:Body>${body}</e:Body></e:Envelope>`
const fault = (name: string): Reply => ({
  status: 500,
  body: envelope(`<e:Fault><faultstring>topsecret</faultstring><detail><f x:type="${name}"/></detail></e:Fault>`),
})
const answer = (method: string, body: string): Reply => ({
  body: envelope(`<${method}Response>${body}</${method}Response>`),
})
const CONTENT = ['rootFolder', 'propertyCollector', 'viewManager', 'sessionManager', 'eventManager']
  .map((name) => `<${name} type="${name}">${name}</${name}>`)
  .join('')
/** All that a login and the start of a task take. */
const REPLIES: Readonly<Record<string, Reply>> = {
  RetrieveServiceContent: answer('RetrieveServiceContent', `<returnval>${CONTENT}</returnval>`),
  Login: {
    ...answer('Login', '<returnval><key>topsecret</key><userName>alice</userName></returnval>'),
    cookie: 'vmware_soap_session="topsecret"; Path=/; HttpOnly; Secure',
  },
  CreateContainerView: answer('CreateContainerView', '<returnval type="ContainerView">view</returnval>'),
  DestroyView: answer('DestroyView', ''),
  RetrievePropertiesEx: answer(
    'RetrievePropertiesEx',
    '<returnval><objects><obj type="HostSystem">host-1</obj><propSet><name>name</name><val>one</val></propSet></objects></returnval>',
  ),
  EnterMaintenanceMode_Task: answer('EnterMaintenanceMode_Task', '<returnval type="Task">task-1</returnval>'),
}

describe.runIf(isAvailable('the vSphere lab', missing()))('a server that is none as it should be', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vcenter-test-'))
  const asked: { readonly method: string; readonly cookie: string | undefined }[] = []
  let replies: Record<string, Reply | readonly Reply[]> = {}
  let server: Server
  let client: Vcenter

  beforeAll(async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-subj', '/CN=vcenter']
    const files = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert]
    execFileSync('openssl', ['req', '-x509', '-days', '2', ...options, ...files], { stdio: 'ignore' })
    server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, async (request, response) => {
      let text = ''
      for await (const chunk of request.setEncoding('utf8')) text += chunk
      const method = /<soap:Body><(\w+)/.exec(text)?.[1] ?? ''
      asked.push({ method, cookie: request.headers.cookie })
      const own = replies[method] ?? REPLIES[method]
      const reply = Array.isArray(own) ? own.shift() : own
      const { status = 200, body, cookie } = reply as Reply
      response.writeHead(status, cookie === undefined ? {} : { 'set-cookie': cookie })
      if (typeof body === 'string') response.end(body)
      else Readable.from(body()).pipe(response)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    client = vcenter({ url: `https://127.0.0.1:${port}`, ca: readFileSync(cert, 'utf8') })
  })
  afterEach(() => {
    replies = {}
    asked.length = 0
  })
  afterAll(async () => {
    client.close()
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })
  const login = (): Promise<VcenterSession> => client.login('alice', 'topsecret')

  test('gets its cookie back as it sent it, and only that', async () => {
    const session = await login()
    await session.listHosts()
    // The view is cleared away when the list is there.
    await expect.poll(() => asked.at(-1)?.method).toBe('DestroyView')
    expect(asked.map(({ method, cookie }) => [method, cookie])).toEqual([
      ['RetrieveServiceContent', undefined],
      ['Login', undefined],
      ['CreateContainerView', 'vmware_soap_session="topsecret"'],
      ['RetrievePropertiesEx', 'vmware_soap_session="topsecret"'],
      ['DestroyView', 'vmware_soap_session="topsecret"'],
    ])
  })

  test.each<[string, Reply, string]>([
    ['another status', { status: 302, body: 'topsecret' }, 'ERR_VCENTER_PROTOCOL'],
    ['an outage', { status: 503, body: 'topsecret' }, 'ERR_VCENTER_UNAVAILABLE'],
    ['a page', { body: '<html><body>topsecret</html>' }, 'ERR_VCENTER_PROTOCOL'],
    ['nothing', { body: '' }, 'ERR_VCENTER_PROTOCOL'],
    ['no session', answer('Login', 'topsecret'), 'ERR_VCENTER_PROTOCOL'],
    ['a fault', fault('topsecret'), 'ERR_VCENTER_FAULT'],
    ['a login that is refused', fault('InvalidLogin'), 'ERR_VCENTER_LOGIN'],
    ['a permission that is missing', fault('vim25:NoPermission'), 'ERR_VCENTER_DENIED'],
  ])('makes an error of %s that quotes nothing of it', async (_, reply, code) => {
    replies = { Login: reply }
    const error = await login().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'VcenterError', code })
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('topsecret')
  })

  test('answers another call than the one that was made', async () => {
    const session = await login()
    replies = { TerminateSession: answer('Logout', '') }
    await expect(session.terminateSession('other')).rejects.toMatchObject({ code: 'ERR_VCENTER_PROTOCOL', begun: true })
  })

  test('is not read without end', async () => {
    let sent = 0
    const body = function* (): Generator<string> {
      const part = ' '.repeat(2 ** 20)
      for (; sent < 200; sent++) yield part
    }
    replies = { Login: { body } }
    await expect(login()).rejects.toMatchObject({ code: 'ERR_VCENTER_PROTOCOL' })
    expect(sent).toBeLessThan(100)
  })

  test('does not tell how a task goes', async () => {
    const session = await login()
    const hidden = '<returnval><objects><obj type="Task">task-1</obj></objects></returnval>'
    replies = {
      RetrievePropertiesEx: [REPLIES['RetrievePropertiesEx'] as Reply, answer('RetrievePropertiesEx', hidden)],
    }
    await expect(session.enterMaintenance('one')).rejects.toMatchObject({ code: 'ERR_VCENTER_DENIED', begun: true })
  })

  test('says in a later page what is left', async () => {
    const page = (name: string, token: string): string =>
      `<returnval>${token}<objects><obj type="HostSystem">${name}</obj></objects></returnval>`
    replies = {
      RetrievePropertiesEx: answer('RetrievePropertiesEx', page('host-1', '<token>1</token>')),
      ContinueRetrievePropertiesEx: [
        answer('ContinueRetrievePropertiesEx', page('host-2', '<token>2</token>')),
        answer('ContinueRetrievePropertiesEx', page('host-3', '')),
      ],
    }
    const hosts = await (await login()).listHosts()
    expect(hosts.map(({ id }) => id)).toEqual(['host-1', 'host-2', 'host-3'])
  })

  test('ends a session while it carries out an order: what was begun is not to be ordered again', async () => {
    const session = await login()
    replies = { RetrievePropertiesEx: [REPLIES['RetrievePropertiesEx'] as Reply, fault('NotAuthenticated')] }
    const error = await session.enterMaintenance('one').catch((reason: unknown) => reason)
    expect(isNotAuthenticated(error)).toBe(true)
    expect(error).toMatchObject({ begun: true })
    asked.length = 0
    await expect(session.currentTime()).rejects.toMatchObject({ code: 'ERR_VCENTER_NOT_AUTHENTICATED', begun: false })
    expect(asked).toEqual([])
  })
})
