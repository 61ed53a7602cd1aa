import { chmodSync, readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { type Secret, type Session, secret } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import nodeVault from 'node-vault'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { jwtLogin } from '../src/logins/jwt-login.ts'
import { startTimer } from '../src/long-timer.ts'
import { renewalDelay, retryDelay } from '../src/renewal-schedule.ts'
import type { VaultClient } from '../src/vault-client.ts'
import { clientOf, failing, never } from './fixtures/clients.ts'
import { envelope, json, type Received, refusingOrigin, type StandIn, standIn } from './fixtures/http-stand-in.ts'
import { contextOfClient } from './fixtures/login-contexts.ts'

/** What the usual client does in careless hands, and that ours can't be made to. */
describe.runIf(isAvailable('the Vault lab', missing()))('a trap of node-vault that is none here:', () => {
  let lab: VaultLab
  let ours: VaultClient
  beforeAll(async () => {
    lab = await vault()
    ours = clientOf(lab.address, { ca: readFileSync(lab.ca, 'utf8') })
    for (const user of ['alice', 'bob'])
      await lab.request('POST', `${lab.mounts.kv2}/data/users/${user}/db`, { data: { password: `of-${user}` } })
  }, 60_000)
  afterAll(async () => {
    await ours?.close()
    await lab?.dispose()
  })

  const servers: StandIn[] = []
  afterEach(async () => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
    for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
  })
  async function serve(answer?: Parameters<typeof standIn>[0]): Promise<StandIn> {
    const server = await standIn(answer ?? ((response) => json(response, 200, envelope({ data: {} }))))
    servers.push(server)
    return server
  }

  /** node-vault as its README shows it. */
  const theirs = (options: nodeVault.VaultOptions = {}): nodeVault.client =>
    nodeVault({ endpoint: lab.address, requestOptions: { ca: readFileSync(lab.ca) } as never, ...options })
  const jwtOf = (sub: string) => lab.tokens.sign({ sub })
  const sessionOf = async (sub: string): Promise<Session> =>
    testSession({ subject: sub, token: secret(await jwtOf(sub)) })
  async function ourToken(sub: string): Promise<Secret<string>> {
    const login = jwtLogin({ role: 'user', mount: lab.mounts.jwt })
    return (await login.logIn(await sessionOf(sub), contextOfClient(ours))).token
  }
  async function theirToken(sub: string): Promise<string> {
    const answer = await theirs().write(`auth/${lab.mounts.jwt}/login`, { role: 'user', jwt: await jwtOf(sub) })
    return answer.auth.client_token
  }
  const whoAmI = { method: 'GET', path: 'auth/token/lookup-self', retry: true } as const
  const tokensOf = (received: readonly Received[]) => received.map(({ headers }) => headers['x-vault-token'])

  test('a login makes everybody the last who logged in', async () => {
    const shared = theirs()
    const logIn = async (sub: string) =>
      shared.jwtLogin({ mount_point: lab.mounts.jwt, role: 'user', jwt: await jwtOf(sub) })
    await logIn('alice')
    await logIn('bob')
    const seenByAlice = await shared.tokenLookupSelf()
    expect(seenByAlice.data.display_name).toContain('bob')

    const [alice, bob] = [await ourToken('alice'), await ourToken('bob')]
    for (const [token, name] of [
      [alice, 'alice'],
      [bob, 'bob'],
      [alice, 'alice'],
    ] as const) {
      const { data } = await ours.request({ ...whoAmI, token }, { signal: never() })
      expect(data?.['display_name']).toContain(name)
    }
    expect(await failing(ours, whoAmI)).toMatchObject({ status: 403 })
  })

  test('shared headers keep the first token', async () => {
    const requestOptions = { ca: readFileSync(lab.ca), headers: {} }
    const [alice, bob] = [await theirToken('alice'), await theirToken('bob')]
    const shared = theirs({ requestOptions: requestOptions as never })
    shared.token = alice
    await shared.read('auth/token/lookup-self')
    shared.token = bob
    const seenByBob = await shared.read('auth/token/lookup-self')
    expect(seenByBob.data.display_name).toContain('alice')

    const request = Object.freeze({ ...whoAmI, body: undefined })
    for (const name of ['alice', 'bob']) {
      const { data } = await ours.request({ ...request, token: await ourToken(name) }, { signal: never() })
      expect(data?.['display_name']).toContain(name)
    }
  })

  test('a client without a token is whoever the environment says', async () => {
    vi.stubEnv('VAULT_TOKEN', lab.rootToken)
    const root = await theirs({ token: '' }).read('auth/token/lookup-self')
    expect(root.data.policies).toEqual(['root'])

    const server = await serve()
    vi.stubEnv('VAULT_ADDR', server.origin)
    expect(await failing(clientOf(lab.address, { ca: readFileSync(lab.ca, 'utf8') }), whoAmI)).toMatchObject({
      status: 403,
    })
    expect(server.received).toEqual([])
  })

  test('headers of a call are dropped, and its namespace is another one', async () => {
    const server = await serve()
    const shared = theirs({ endpoint: server.origin, token: 'shared', namespace: 'shared' })
    const headers = () => ({ 'X-Vault-Token': 'own', 'X-Vault-Namespace': 'own' })
    await shared.read('a', { headers: headers() })
    await shared.update('a', {}, { headers: headers() })
    expect(tokensOf(server.received)).toEqual(['own', 'shared'])
    expect(server.received.map(({ headers: { 'x-vault-namespace': namespace } }) => namespace)).toEqual([
      'shared',
      'shared',
    ])

    const client = clientOf(server.origin, { namespace: 'team-a' })
    for (const method of ['GET', 'POST', 'PUT'] as const) {
      const request = { method, path: 'a', token: secret('own'), namespace: 'own', retry: false }
      await client.request(request, { signal: never() })
      const { headers: sent } = server.received.at(-1) as Received
      expect([sent['x-vault-token'], sent['x-vault-namespace']]).toEqual(['own', 'own'])
    }
  })

  test('a user’s name changes the path', async () => {
    const read = (name: string) => theirs({ token: lab.rootToken }).read(`${lab.mounts.kv2}/data/users/${name}/db`)
    for (const name of ['alice/../bob', 'alice/%2e%2e/bob', 'bob/db?version=1#'])
      expect([name, (await read(name)).data.data]).toEqual([name, { password: 'of-bob' }])
    const server = await serve()
    const quoting = theirs({ endpoint: server.origin })
    quoting.generateFunction('readUser', { method: 'GET', path: '/users/{{name}}' })
    await (quoting as unknown as { readUser(args: object): Promise<unknown> }).readUser({ name: 'a=b' })
    expect(server.received.at(-1)?.url).toBe('/v1/users/a&')

    for (const name of ['alice/../bob', 'alice/%2e%2e/bob', 'bob/db?version=1#', '+', '*', 'bob\\db']) {
      const path = `${lab.mounts.kv2}/data/users/${name}/db`
      const error = await failing(ours, { path, token: secret(lab.rootToken) })
      expect([name, error]).toMatchObject([name, { kind: 'malformed', uncertain: false }])
    }
    await clientOf(server.origin).request({ method: 'GET', path: 'users/a=b', retry: true }, { signal: never() })
    expect(server.received.at(-1)?.url).toBe('/v1/users/a=b')
  })

  test('an error holds the token and what was sent', async () => {
    const gone = await refusingOrigin()
    const print = (error: unknown) => inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)
    const naive = await theirs({ endpoint: gone, token: 'the-vault-token' })
      .write('auth/jwt/login', { jwt: 'the-jwt-itself' })
      .catch(print)
    expect(naive).toContain('the-vault-token')
    expect(naive).toContain('the-jwt-itself')

    const error = await failing(clientOf(gone), {
      method: 'POST',
      path: 'auth/jwt/login',
      token: secret('the-vault-token'),
      body: { jwt: 'the-jwt-itself' },
    })
    expect(print(error)).not.toMatch(/the-vault-token|the-jwt-itself/)
  })

  test('a redirect hands the token to another host', async () => {
    const foreign = await serve()
    const server = await serve((response, { url }) =>
      response.writeHead(307, { location: `${foreign.origin.replace('127.0.0.1', 'localhost')}${url}` }).end(),
    )
    await theirs({ endpoint: server.origin, token: 'the-vault-token' }).read('secret/data/a')
    expect(tokensOf(foreign.received)).toEqual(['the-vault-token'])

    const request = { path: 'secret/data/a', token: secret('the-vault-token') }
    expect(await failing(clientOf(server.origin), request)).toMatchObject({ kind: 'redirected' })
    expect(foreign.received).toHaveLength(1)
  })

  test('a proxy of the environment reads along', async () => {
    const proxy = await serve()
    const server = await serve()
    for (const name of ['HTTP_PROXY', 'http_proxy']) vi.stubEnv(name, proxy.origin)
    for (const name of ['NO_PROXY', 'no_proxy']) vi.stubEnv(name, '')
    await theirs({ endpoint: server.origin, token: 'the-vault-token' }).read('secret/data/a')
    expect(tokensOf(proxy.received)).toEqual(['the-vault-token'])
    expect(server.received).toEqual([])

    const request = { method: 'GET', path: 'secret/data/a', token: secret('the-vault-token'), retry: true } as const
    await clientOf(server.origin).request(request, { signal: never() })
    expect([proxy.received.length, tokensOf(server.received)]).toEqual([1, ['the-vault-token']])
  })

  test('a variable that says "false" turns the check of certificates off', async () => {
    const { certificate, key } = await lab.clientCertificate('impostor')
    chmodSync(key, 0o600)
    const impostor = await standIn((response) => json(response, 200, envelope()), {
      cert: readFileSync(certificate, 'utf8'),
      key: readFileSync(key, 'utf8'),
    })
    servers.push(impostor)
    const careful = theirs({ endpoint: impostor.origin, requestOptions: {}, token: 'the-vault-token' })
    await expect(careful.read('secret/data/a')).rejects.toThrow()
    vi.stubEnv('VAULT_SKIP_VERIFY', 'false')
    const naive = theirs({ endpoint: impostor.origin, requestOptions: {}, token: 'the-vault-token' })
    await naive.read('secret/data/a')
    expect(tokensOf(impostor.received)).toEqual(['the-vault-token'])

    const request = { path: 'secret/data/a', token: secret('the-vault-token') }
    expect(await failing(clientOf(impostor.origin), request)).toMatchObject({ kind: 'unreachable', uncertain: false })
    expect(impostor.received).toHaveLength(1)
  })

  test('an abort is not heard', async () => {
    let answer: (() => void) | undefined
    const slow = await serve((response) => {
      answer = () => json(response, 200, envelope({ data: { late: true } }))
    })
    const abort = new AbortController()
    const naive = theirs({ endpoint: slow.origin }).read('a', { signal: abort.signal })
    await vi.waitFor(() => expect(slow.received).toHaveLength(1))
    abort.abort(new Error('gone'))
    answer?.()
    expect((await naive).data).toEqual({ late: true })

    const own = new AbortController()
    const request = clientOf(slow.origin).request({ method: 'GET', path: 'a', retry: true }, { signal: own.signal })
    await vi.waitFor(() => expect(slow.received).toHaveLength(2))
    own.abort(new Error('gone'))
    await expect(request).rejects.toThrow('gone')
  })

  test('a success is taken for a failure, and when to come again is lost', async () => {
    const statuses = { accepted: 202, busy: 429 } as const
    const server = await serve((response, { url }) => {
      const status = url.endsWith('accepted') ? statuses.accepted : statuses.busy
      json(response, status, envelope(), { 'retry-after': '600' })
    })
    const naive = theirs({ endpoint: server.origin })
    await expect(naive.read('accepted')).rejects.toThrow('Status 202')
    const busy = await naive.read('busy').catch((error: unknown) => error)
    expect(inspect(busy, { depth: 9, showHidden: true })).not.toContain('600')

    const client = clientOf(server.origin, { clock: { now: () => 1_000 } })
    await client.request({ method: 'GET', path: 'accepted', retry: true }, { signal: never() })
    expect(await failing(client, { path: 'busy' })).toMatchObject({ status: 429, retryAt: 601_000 })
  })

  test('a path with sys/health in it never fails', async () => {
    const path = `${lab.mounts.kv2}/data/users/sys/health`
    const naive = await theirs({ token: lab.rootToken }).read(path)
    expect(naive).toEqual({ errors: [] })
    expect(await failing(ours, { path, token: secret(lab.rootToken) })).toMatchObject({ status: 404 })
  })

  test('a long lease is renewed at once and for ever, and one failure ends it', async () => {
    // Node warns of each timer that overflows.
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const gone = await refusingOrigin()
    const month = 768 * 3_600
    const { body } = await lab.request('POST', 'auth/token/create', { policies: ['default'], ttl: `${month}s` })
    const token = (body as { auth: { client_token: string } }).auth.client_token
    const naive = theirs({ token })
    let renewals = 0
    naive.on('token:renewed', () => renewals++)
    await naive.startTokenRenewal()
    await vi.waitFor(() => expect(renewals).toBeGreaterThan(10), { timeout: 5_000 })
    // Stopping it does not stop a renewal that is under way, which starts the next.
    naive.endpoint = gone
    naive.stopTokenRenewal()

    const failed: unknown[] = []
    const stopped = theirs({ endpoint: gone, token })
    stopped.on('token:error:renew', (error) => failed.push(error))
    await stopped.startTokenRenewal({ ttl: 2 ** 31 })
    await vi.waitFor(() => expect(failed).toHaveLength(1))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(failed).toHaveLength(1)

    const [duration, grace] = [month * 1_000, month * 100]
    const delay = renewalDelay(duration, grace) as number
    let fired = 0
    const cancel = startTimer(delay, () => fired++)
    const cancelLonger = startTimer(2 ** 40, () => fired++)
    await new Promise((resolve) => setTimeout(resolve, 50))
    cancel()
    cancelLonger()
    expect(fired).toBe(0)
    expect(delay).toBeGreaterThan(duration / 2)
    for (const failures of [1, 2, 10]) expect(retryDelay(failures, duration / 3, grace)).toBeGreaterThan(0)
  })
})
