import { inspect } from 'node:util'
import { secret } from '@mcp-delegation/core'
import { fakeClock } from '@mcp-delegation/core/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { VaultError } from '../src/vault-error.ts'
import { clientOf, failing, never } from './fixtures/clients.ts'
import { envelope, json, refusingOrigin, type StandIn, standIn } from './fixtures/http-stand-in.ts'

const servers: StandIn[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
})

async function serve(...args: Parameters<typeof standIn>): Promise<StandIn> {
  const server = await standIn(...args)
  servers.push(server)
  return server
}

const read = { method: 'GET', path: 'secret/data/x', retry: true } as const
const make = { method: 'POST', path: 'pki/issue/x', body: { a: 1 }, retry: false } as const

test('A request is what its options say, and nothing else', async () => {
  const server = await serve((response) => json(response, 200, envelope({ data: { a: 1 } })))
  const client = clientOf(server.origin, { namespace: 'team-a' })
  const { data } = await client.request({ ...read, query: { version: '3' }, token: secret('tok') }, { signal: never() })
  expect(data).toEqual({ a: 1 })
  await client.request({ ...make, root: true }, { signal: never() })
  await client.request({ ...read, namespace: 'other' }, { signal: never() })
  const [first, second, third] = server.received
  expect(first).toMatchObject({ method: 'GET', url: '/v1/secret/data/x?version=3', body: '' })
  expect(first?.headers).toMatchObject({
    'x-vault-token': 'tok',
    'x-vault-namespace': 'team-a',
    'x-vault-request': 'true',
  })
  expect(second).toMatchObject({ method: 'POST', url: '/v1/pki/issue/x', body: '{"a":1}' })
  expect(second?.headers['content-type']).toBe('application/json')
  expect(Object.keys(second?.headers ?? {})).not.toContain('x-vault-token')
  expect(Object.keys(second?.headers ?? {})).not.toContain('x-vault-namespace')
  expect(third?.headers['x-vault-namespace']).toBe('other')
})

test('A path, a query or a token that means something else on the wire is not sent', async () => {
  const server = await serve((response) => json(response, 200, envelope()))
  const client = clientOf(server.origin)
  for (const request of [
    { path: 'kv/../sys/seal' },
    { path: 'kv/a?list=true' },
    { path: 'kv/a', query: { a: 'b&c=d' } },
    { path: 'kv/a', token: secret('a\r\nx-evil: 1') },
  ]) {
    const error = await failing(client, request)
    expect(error).toMatchObject({ kind: 'malformed', uncertain: false })
    expect(error.message).not.toMatch(/\.\.|list|evil/)
  }
  expect(server.received).toEqual([])
})

test('Connections are kept and bounded, and waiting for one is no part of the try', async () => {
  const server = await serve((response) => setTimeout(() => json(response, 200, envelope()), 30))
  const client = clientOf(server.origin, { connections: 2, timeout: 200 })
  const all = Array.from({ length: 30 }, () => client.request({ ...make }, { signal: never() }))
  await Promise.all(all)
  expect(server.received).toHaveLength(30)
  expect(server.peak).toBe(2)
  expect(server.connections).toBe(2)
})

test('A request leaves no timer behind', async () => {
  const server = await serve((response) => json(response, 200, envelope()))
  const client = clientOf(server.origin, { timeout: 60_000 })
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  for (let count = 0; count < 50; count++) await client.request(read, { signal: never() })
  expect(timers() - before).toBeLessThan(25)
})

test('A failure that passes is tried again for what may be repeated, and bounded', async () => {
  const statuses = [500, 502, 503, 412, 429, 472, 473]
  for (const status of statuses) {
    const server = await serve((response, _request, count) =>
      count < 3 ? json(response, status, { errors: ['busy'] }) : json(response, 200, envelope({ data: { count } })),
    )
    const { data } = await clientOf(server.origin).request(read, { signal: never() })
    expect([status, data]).toEqual([status, { count: 3 }])
  }
  const broken = await serve((response) => json(response, 500, { errors: ['broken'] }))
  expect(await failing(clientOf(broken.origin, { tries: 4 }), read)).toMatchObject({ status: 500, uncertain: true })
  expect(broken.received).toHaveLength(4)
})

test('What makes something is sent once', async () => {
  for (const status of [500, 503, 429, 412, 473]) {
    const server = await serve((response) => json(response, status, { errors: [] }))
    const error = await failing(clientOf(server.origin), make)
    expect(error).toMatchObject({ kind: 'status', status, uncertain: status >= 500 })
    expect([status, server.received.length]).toEqual([status, 1])
  }
  const silent = await serve(() => {})
  const error = await failing(clientOf(silent.origin, { timeout: 50 }), make)
  expect(error).toMatchObject({ kind: 'late', uncertain: true })
  expect(silent.received).toHaveLength(1)
})

test('A refusal is not tried again', async () => {
  for (const status of [400, 403, 404, 405]) {
    const server = await serve((response) => json(response, status, { errors: ['no'] }))
    expect(await failing(clientOf(server.origin), read)).toMatchObject({ kind: 'status', status, uncertain: false })
    expect([status, server.received.length]).toEqual([status, 1])
  }
})

test('The envelope that comes with a refusal is kept, and not printed', async () => {
  const body = envelope({ data: { data: null, metadata: { deletion_time: 'yesterday' } } })
  const server = await serve((response) => json(response, 404, body))
  const error = await failing(clientOf(server.origin), read)
  expect(error.envelope()?.data).toEqual({ data: null, metadata: { deletion_time: 'yesterday' } })
  expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toContain('yesterday')
  const missing = await serve((response) => json(response, 404, { errors: [] }))
  expect((await failing(clientOf(missing.origin), read)).envelope()).toBeUndefined()
})

test('When the server wants to be asked again is heeded where it is soon, and else told', async () => {
  const clock = fakeClock()
  const soon = await serve((response, _request, count) =>
    count === 1 ? json(response, 429, { errors: [] }, { 'retry-after': '1' }) : json(response, 200, envelope()),
  )
  const start = performance.now()
  await clientOf(soon.origin, { clock }).request(read, { signal: never() })
  expect(performance.now() - start).toBeGreaterThan(990)

  for (const status of [429, 503]) {
    const late = await serve((response) => json(response, status, { errors: [] }, { 'retry-after': '60' }))
    const error = await failing(clientOf(late.origin, { clock }), read)
    expect(error.retryAt).toBe(clock.now() + 60_000)
    expect(late.received).toHaveLength(1)
    const once = await failing(clientOf(late.origin, { clock }), make)
    expect(once.retryAt).toBe(clock.now() + 60_000)
  }
  const at = new Date(Math.ceil(clock.now() / 1000) * 1000 + 90_000)
  const dated = await serve((response) => json(response, 503, {}, { 'retry-after': at.toUTCString() }))
  expect((await failing(clientOf(dated.origin, { clock }), read)).retryAt).toBe(at.getTime())
  const silent = await serve((response) => json(response, 429, {}))
  expect((await failing(clientOf(silent.origin), read)).retryAt).toBeUndefined()
  expect(silent.received).toHaveLength(3)
})

test('An abort ends a request, a pause and a wait, with its reason', async () => {
  const silent = await serve(() => {})
  const busy = await serve((response) => json(response, 503, {}, { 'retry-after': '1' }))
  const reason = new Error('enough')
  const cases = [clientOf(silent.origin), clientOf(busy.origin), clientOf(silent.origin, { connections: 1 })]
  for (const [index, client] of cases.entries()) {
    const abort = new AbortController()
    if (index === 2) void client.request(read, { signal: abort.signal }).catch(() => {})
    const requests = [client.request(read, { signal: abort.signal })]
    if (index !== 1) requests.push(client.request(make, { signal: abort.signal }))
    const start = performance.now()
    setTimeout(() => abort.abort(reason), 60)
    for (const settled of await Promise.allSettled(requests))
      expect(settled.status === 'rejected' && settled.reason === reason).toBe(true)
    expect(performance.now() - start).toBeLessThan(800)
    await expect(client.request(read, { signal: abort.signal })).rejects.toBe(reason)
  }
  expect(busy.received).toHaveLength(1)
})

test('An abort breaks the connection, so that the server hears of it', async () => {
  let closed: (() => void) | undefined
  const gone = new Promise<void>((resolve) => {
    closed = resolve
  })
  const silent = await serve((response) => response.on('close', () => closed?.()))
  const abort = new AbortController()
  const request = clientOf(silent.origin).request(read, { signal: abort.signal })
  await vi.waitFor(() => expect(silent.received).toHaveLength(1))
  abort.abort(new Error('enough'))
  await expect(request).rejects.toThrow('enough')
  await gone
})

test('What never left is certain, and goes to the next node even where it makes something', async () => {
  const refusing = await refusingOrigin()
  expect(await failing(clientOf(refusing), make)).toMatchObject({ kind: 'unreachable', uncertain: false })
  const alive = await serve((response) => json(response, 200, envelope()))
  const client = clientOf([refusing, alive.origin])
  await client.request(make, { signal: never() })
  expect(alive.received).toHaveLength(1)
})

test('What may have arrived is uncertain, and not sent to another node', async () => {
  const breaking = await serve((response) => response.destroy())
  const alive = await serve((response) => json(response, 200, envelope()))
  const client = clientOf([breaking.origin, alive.origin])
  expect(await failing(client, make)).toMatchObject({ kind: 'unreachable', uncertain: true })
  expect(alive.received).toHaveLength(0)
  // But the next request asks the other node.
  await client.request(make, { signal: never() })
  expect([breaking.received.length, alive.received.length]).toEqual([1, 1])

  const sealed = await serve((response) => json(response, 503, {}))
  const other = clientOf([sealed.origin, alive.origin])
  expect(await failing(other, make)).toMatchObject({ status: 503, uncertain: true })
  await other.request(make, { signal: never() })
  expect([sealed.received.length, alive.received.length]).toEqual([1, 2])
})

test('The node that answered last is asked first', async () => {
  const answers = { a: 200, b: 200 }
  const a = await serve((response) => json(response, answers.a, envelope()))
  const b = await serve((response) => json(response, answers.b, envelope()))
  const client = clientOf([a.origin, b.origin])
  const counts = async (): Promise<readonly number[]> => {
    await client.request(read, { signal: never() })
    return [a.received.length, b.received.length]
  }
  expect(await counts()).toEqual([1, 0])
  answers.a = 503
  expect(await counts()).toEqual([2, 1])
  expect(await counts()).toEqual([2, 2])
  answers.b = 500
  answers.a = 200
  expect(await counts()).toEqual([3, 3])
  expect(await counts()).toEqual([4, 3])
})

test('A pause comes after all nodes have failed', async () => {
  const times: number[] = []
  const note = (response: Parameters<Parameters<typeof standIn>[0]>[0]): void => {
    times.push(performance.now())
    json(response, 503, {})
  }
  const [a, b] = [await serve(note), await serve(note)]
  vi.spyOn(Math, 'random').mockReturnValue(1)
  await failing(clientOf([a.origin, b.origin], { tries: 4 }), read)
  const [first = 0, second = 0, third = 0, fourth = 0] = times
  expect(times).toHaveLength(4)
  expect(second - first).toBeLessThan(90)
  expect(third - second).toBeGreaterThan(95)
  expect(fourth - third).toBeLessThan(90)
})

test('A redirect to another node of the options is followed, once and with the token', async () => {
  for (const status of [307, 308]) {
    const leader = await serve((response) => json(response, 200, envelope({ data: { leader: true } })))
    const standby = await serve((response, { url }) =>
      response.writeHead(status, { location: `${leader.origin}${url}` }).end(),
    )
    const client = clientOf([standby.origin, leader.origin])
    const request = { ...make, query: { a: '1' }, token: secret('tok') }
    expect((await client.request(request, { signal: never() })).data).toEqual({ leader: true })
    expect(leader.received[0]).toMatchObject({ method: 'POST', url: '/v1/pki/issue/x?a=1', body: '{"a":1}' })
    expect(leader.received[0]?.headers['x-vault-token']).toBe('tok')
    await client.request(read, { signal: never() })
    expect(standby.received).toHaveLength(1)
  }
})

test('A redirect to anywhere else is not followed, and says where it pointed', async () => {
  const foreign = await serve((response) => json(response, 200, envelope()))
  const other = await serve((response) => json(response, 200, envelope()))
  const targets = [
    [307, `${foreign.origin}/v1/secret/data/x`],
    [308, `${foreign.origin}/v1/secret/data/x`],
    [302, `${other.origin}/v1/secret/data/x`],
    [301, '/v1/secret/data/x'],
    [307, '/v1/secret/data/y'],
    [307, `${other.origin}/v1/sys/seal`],
    [307, `${other.origin}/v1/secret/data/x?list=true`],
    [307, `${other.origin.replace('//', '//user:pass@')}/v1/secret/data/x`],
    [307, 'javascript:alert(1)'],
    [307, ''],
    [307, '/v1/secret/data/x'],
  ] as const
  for (const [status, location] of targets) {
    const server = await serve((response) => response.writeHead(status, { location }).end())
    const error = await failing(clientOf([server.origin, other.origin], { tries: 1 }), {
      ...read,
      token: secret('tok'),
    })
    expect([location, error]).toMatchObject([location, { kind: 'redirected', status, uncertain: false }])
    expect(server.received).toHaveLength(1)
    expect(error.message).not.toContain('pass')
    if (location.startsWith(foreign.origin)) expect(error.message).toContain(foreign.origin)
  }
  expect([foreign.received, other.received]).toEqual([[], []])
})

test('Two nodes that point to each other are not followed in circles', async () => {
  const origins: string[] = []
  const pointTo = (index: number) =>
    serve((response, { url }) => response.writeHead(307, { location: `${origins[index]}${url}` }).end())
  const [a, b] = [await pointTo(1), await pointTo(0)]
  origins.push(a.origin, b.origin)
  const error = await failing(clientOf([a.origin, b.origin], { tries: 1 }), read)
  expect(error.kind).toBe('redirected')
  expect([a.received.length, b.received.length]).toEqual([1, 1])
})

test('A dead leader that a standby points to is an outage', async () => {
  const dead = await refusingOrigin()
  const standby = await serve((response, { url }) => response.writeHead(307, { location: `${dead}${url}` }).end())
  const error = await failing(clientOf([standby.origin, dead], { tries: 2 }), read)
  expect(error).toMatchObject({ kind: 'unreachable', uncertain: false })
})

test('An answer that is not what the API says is malformed', async () => {
  const bodies = [
    '<html>',
    '',
    '[]',
    '"text"',
    '{"lease_id":1}',
    '{"data":"x"}',
    '{"auth":{}}',
    Buffer.from('{"data":{"a":"\xff"}}', 'latin1'),
  ]
  for (const body of bodies) {
    const server = await serve((response) => response.writeHead(200).end(body))
    expect([body, await failing(clientOf(server.origin), read)]).toMatchObject([
      body,
      { kind: 'malformed', uncertain: true },
    ])
    expect(server.received).toHaveLength(1)
  }
  const noHttp = await serve((response) => response.socket?.end('secret-of-somebody\r\n\r\n'))
  const error = await failing(clientOf(noHttp.origin), read)
  expect(error).toMatchObject({ kind: 'malformed', uncertain: true })
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('secret-of')
})

test("A refusal that is not in Vault's own form is no refusal of Vault's", async () => {
  for (const status of [400, 403, 404])
    for (const body of ['<html>', '', '{"message":"Forbidden"}', '{"errors":"no"}', '[]']) {
      const proxy = await serve((response) => response.writeHead(status).end(body))
      const error = await failing(clientOf(proxy.origin), make)
      expect([body, error]).toMatchObject([body, { kind: 'malformed', status: undefined, uncertain: false }])
      expect(error.message).toContain(`${status}`)
    }
})

test('What the server has no reason for is told from what it has one for', async () => {
  const errorOf = async (body: object): Promise<VaultError> =>
    failing(clientOf((await serve((response) => json(response, 404, body))).origin), read)
  expect(await errorOf({ errors: [] })).toMatchObject({ kind: 'status', status: 404, reasons: 0 })
  expect(await errorOf({ errors: ['no handler'] })).toMatchObject({ kind: 'status', status: 404, reasons: 1 })
  expect((await errorOf(envelope({ data: null }))).envelope()).toBeDefined()
})

test('An answer without a body is an empty envelope', async () => {
  const server = await serve((response) => response.writeHead(204).end())
  expect(await clientOf(server.origin).request(make, { signal: never() })).toMatchObject({
    leaseId: '',
    data: undefined,
  })
})

test('An answer that never ends, or is too large, is bounded', async () => {
  const endless = await serve((response) => {
    response.writeHead(200)
    const chunk = Buffer.alloc(65_536, 0x20)
    const pump = (): void =>
      void (response.destroyed || (response.write(chunk) ? setImmediate(pump) : response.once('drain', pump)))
    pump()
  })
  expect(await failing(clientOf(endless.origin), read)).toMatchObject({ kind: 'malformed', uncertain: true })
  const dripping = await serve((response) => {
    response.writeHead(200).write('{')
  })
  expect(await failing(clientOf(dripping.origin, { timeout: 60, tries: 1 }), read)).toMatchObject({ kind: 'late' })
  const fits = await serve((response) => json(response, 200, envelope({ data: { text: 'x'.repeat(1_000_000) } })))
  await clientOf(fits.origin).request(read, { signal: never() })
})

test('What the server says is told without what looks like a secret', async () => {
  const errors = [
    'no \u202e\nrole for eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln',
    'token own-secret-token',
    'long secret-id',
  ]
  const server = await serve((response) => json(response, 400, { errors }))
  const error = await failing(clientOf(server.origin), {
    method: 'POST',
    path: 'auth/approle/login',
    token: secret('own-secret-token'),
    body: { role_id: 'r', secret_id: 'long secret-id' },
  })
  expect(error.message).toBe(
    `POST auth/approle/login at ${server.origin}: 400: no \\u{202e} role for [cut out]; token [cut out]; [cut out]`,
  )
})

test('No error holds what was sent or received', async () => {
  const refusing = await refusingOrigin()
  const servers = [
    await serve(() => {}),
    await serve((response) => response.destroy()),
    await serve((response) => json(response, 500, { data: { password: 'answered-password' }, errors: [] })),
    await serve((response) => json(response, 403, envelope({ data: { password: 'answered-password' } }))),
    await serve((response) => response.writeHead(200).end('answered-password')),
    await serve((response) => response.socket?.end('answered-password\r\n\r\n')),
    await serve((response) => response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{"an')),
    await serve((response) => response.writeHead(307, { location: 'http://answered-password@a.example/' }).end()),
  ]
  for (const origin of [refusing, ...servers.map((server) => server.origin)]) {
    const error = await failing(clientOf(origin, { timeout: 100, tries: 1 }), {
      method: 'POST',
      path: 'secret/data/users/alice',
      token: secret('sent-token-x'),
      body: { password: 'sent-password-x' },
    })
    let text = ''
    for (let link: unknown = error; link instanceof Error; link = link.cause)
      text += `${inspect(link, { depth: 9, showHidden: true })}${JSON.stringify(link)}${link.stack}${String(link)}`
    expect(text).not.toMatch(/sent-token|sent-password|answered-password|alice/)
  }
})

test('No setting of the environment has a say', async () => {
  const proxy = await serve((response) => json(response, 200, envelope({ data: { proxy: true } })))
  const server = await serve((response) => json(response, 200, envelope({ data: { proxy: false } })))
  for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'VAULT_ADDR', 'NODE_USE_ENV_PROXY'])
    vi.stubEnv(name, name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.origin)
  for (const name of ['VAULT_TOKEN', 'VAULT_NAMESPACE']) vi.stubEnv(name, 'from-the-environment')
  const { data } = await clientOf(server.origin).request(read, { signal: never() })
  expect(data).toEqual({ proxy: false })
  expect(JSON.stringify(server.received)).not.toContain('from-the-environment')
})

test('A certificate is shown by new connections, and the former ones are closed', async () => {
  const server = await serve((response) => json(response, 200, envelope()))
  const client = clientOf(server.origin, { connections: 1 })
  const certificate = { certificate: 'c', privateKey: secret('k') }
  await client.request(read, { signal: never() })
  client.present(certificate)
  await client.request(read, { signal: never() })
  client.present({ ...certificate })
  await client.request(read, { signal: never() })
  expect(server.connections).toBe(2)
  await client.close()
})

test('A client that is closed answers no more', async () => {
  const server = await serve((response) => json(response, 200, envelope()))
  const client = clientOf(server.origin, { tries: 1 })
  await client.request(read, { signal: never() })
  await client.close()
  await expect(client.request(read, { signal: never() })).rejects.toThrow(VaultError)
  expect(server.received).toHaveLength(1)
})
