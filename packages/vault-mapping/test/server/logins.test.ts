import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type Secret, type Session, secret } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { isAvailable, missing, unstoppableBecause, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VaultAuth } from '../../src/envelope.ts'
import { appRoleLogin } from '../../src/logins/app-role-login.ts'
import { certificateLogin } from '../../src/logins/certificate-login.ts'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
import { kubernetesLogin } from '../../src/logins/kubernetes-login.ts'
import { tokenFileLogin } from '../../src/logins/token-file-login.ts'
import { namespaceProof } from '../../src/namespace.ts'
import type { VaultClient, VaultClientOptions } from '../../src/vault-client.ts'
import { clientOf, never } from '../fixtures/clients.ts'
import { json, standIn } from '../fixtures/http-stand-in.ts'
import { contextOfClient } from '../fixtures/login-contexts.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('logins at a real server', () => {
  let lab: VaultLab
  let client: VaultClient
  const connect = (options: Partial<VaultClientOptions> = {}): VaultClient =>
    clientOf(lab.address, { ca: readFileSync(lab.ca, 'utf8'), ...options })
  beforeAll(async () => {
    lab = await vault()
    client = connect()
  }, 60_000)
  afterAll(async () => {
    await client?.close()
    await lab?.dispose()
  })

  const sessionOf = async (sub: string): Promise<Session> =>
    testSession({ issuer: lab.tokens.issuer, subject: sub, token: secret(await lab.tokens.sign({ sub })) })
  const privateFile = (name: string, content: string): string => {
    const path = join(lab.folder, name)
    writeFileSync(path, content)
    chmodSync(path, 0o600)
    return path
  }
  /** What the server says of a token. */
  async function seen({ token }: { token: Secret<string> }): Promise<Record<string, unknown>> {
    const { body } = await lab.request('GET', 'auth/token/lookup-self', undefined, { token: token.reveal() })
    return (body as { data: Record<string, unknown> }).data
  }
  async function isAsSaid(auth: VaultAuth, policy: string): Promise<void> {
    const { policies, accessor, ttl } = await seen(auth)
    expect(policies).toContain(policy)
    expect(auth.policies).toContain(policy)
    expect(auth.accessor).toBe(accessor)
    expect(Math.abs(auth.expiresAt - Date.now() - (ttl as number) * 1_000)).toBeLessThan(5_000)
  }

  test('A user is who the token says', async () => {
    const login = jwtLogin({ role: 'user', mount: lab.mounts.jwt })
    const auth = await login.logIn(await sessionOf('alice'), contextOfClient(client))
    await isAsSaid(auth, lab.policies.user)
    expect(await seen(auth)).toMatchObject({ display_name: expect.stringContaining('alice') })
  })

  test('A token that nobody signed is refused, and is not in what the operator reads', async () => {
    const login = jwtLogin({ role: 'user', mount: lab.mounts.jwt })
    const token = await lab.tokens.forge({ sub: 'alice' })
    const session = testSession({ token: secret(token) })
    const error = await login.logIn(session, contextOfClient(client)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', cause: { status: 400 } })
    for (const part of token.split('.')) expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(part)
  })

  test('A mount that is not there is for the operator', async () => {
    const login = jwtLogin({ role: 'user', mount: 'no-such-mount' })
    await expect(login.logIn(await sessionOf('alice'), contextOfClient(client))).rejects.toMatchObject({
      code: 'ERR_DELEGATION_PROTOCOL',
    })
  })

  test('Keys that Vault can not fetch are an outage, over as soon as they are there again', async () => {
    // A mount of its own, which has not seen the keys yet.
    const mount = `${lab.mounts.jwt}-cold`
    const { issuer, jwksUri, audience } = lab.tokens
    await lab.request('POST', `sys/auth/${mount}`, { type: 'jwt' })
    try {
      expect(
        await lab.request('POST', `auth/${mount}/config`, { jwks_url: jwksUri, bound_issuer: issuer }),
      ).toMatchObject({
        status: 204,
      })
      const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: [audience], token_ttl: 60 }
      await lab.request('POST', `auth/${mount}/role/user`, role)
      await lab.tokens.rotate()
      const session = await sessionOf('alice')
      await lab.tokens.down()
      const clock = fakeClock()
      const context = contextOfClient(client, clock)
      const login = jwtLogin({ role: 'user', mount })
      const outage = { code: 'ERR_DELEGATION_UNAVAILABLE', cause: { status: 400 } }
      await expect(login.logIn(session, context)).rejects.toMatchObject(outage)
      await lab.tokens.up()
      // Not asked yet: it fails fast.
      await expect(login.logIn(session, context)).rejects.toMatchObject(outage)
      clock.tick(1_000)
      await isAsSaid(await login.logIn(session, context), 'default')
    } finally {
      await lab.tokens.up()
      await lab.request('DELETE', `sys/auth/${mount}`)
    }
  })

  test('Keys that do not come are late', async () => {
    const impatient = connect({ timeout: 300 })
    const login = jwtLogin({ role: 'user', mount: lab.mounts.jwt })
    await lab.tokens.rotate({ retire: true })
    lab.tokens.keySet('hangs')
    try {
      const attempt = login.logIn(await sessionOf('alice'), contextOfClient(impatient))
      await expect(attempt).rejects.toMatchObject({ kind: 'late', uncertain: true })
    } finally {
      lab.tokens.keySet('answers')
    }
    await login.logIn(await sessionOf('alice'), contextOfClient(client))
  })

  test('An AppRole logs in, and not with a wrong secret id', async () => {
    const { roleId, secretId } = await lab.appRole()
    const login = (content: string) =>
      appRoleLogin({ roleId, mount: lab.mounts.appRole, secretId: { file: privateFile('secret-id', content) } })
    await isAsSaid(await login(secretId).logIn(contextOfClient(client)), lab.policies.server)
    const wrong = '00000000-0000-4000-8000-000000000000'
    const error = await login(wrong)
      .logIn(contextOfClient(client))
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
    expect(inspect(error, { depth: 9 })).not.toContain(wrong)
  })

  test('A role that gives tokens for one use is refused', async () => {
    const path = `auth/${lab.mounts.appRole}/role/once`
    await lab.request('POST', path, { token_num_uses: 1, token_ttl: 60 })
    const id = (await lab.request('GET', `${path}/role-id`)).body as { data: { role_id: string } }
    const made = (await lab.request('POST', `${path}/secret-id`)).body as { data: { secret_id: string } }
    const login = appRoleLogin({
      roleId: id.data.role_id,
      mount: lab.mounts.appRole,
      secretId: async () => made.data.secret_id,
    })
    await expect(login.logIn(contextOfClient(client))).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  })

  test('A pod logs in with its service account, which Kubernetes reviews', async () => {
    const token = await lab.tokens.sign({
      iss: 'kubernetes/serviceaccount',
      sub: 'system:serviceaccount:apps:mcp',
      aud: ['vault'],
      nbf: Math.floor(Date.now() / 1_000) - 5,
      'kubernetes.io': { namespace: 'apps', serviceaccount: { name: 'mcp', uid: 'uid-1' } },
    })
    const user = { username: 'system:serviceaccount:apps:mcp', uid: 'uid-1', groups: ['system:serviceaccounts'] }
    await using kubernetes = await standIn((response, { body }) => {
      const authenticated = (JSON.parse(body) as { spec: { token: string } }).spec.token === token
      const status = authenticated ? { authenticated, user, audiences: ['vault'] } : { authenticated, error: 'unknown' }
      json(response, 201, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status })
    })
    const mount = `auth/${lab.mounts.kubernetes}`
    const configured = await lab.request('POST', `${mount}/config`, {
      kubernetes_host: kubernetes.origin,
      token_reviewer_jwt: token,
      kubernetes_ca_cert: readFileSync(lab.ca, 'utf8'),
      disable_local_ca_jwt: true,
    })
    expect(configured).toMatchObject({ status: 204 })
    const role = {
      bound_service_account_names: ['mcp'],
      bound_service_account_namespaces: ['apps'],
      token_policies: [lab.policies.server],
      token_ttl: 60,
    }
    expect(await lab.request('POST', `${mount}/role/mcp`, role)).toMatchObject({ status: 204 })
    const tokenFile = join(lab.folder, 'pod-token')
    writeFileSync(tokenFile, token, { mode: 0o644 })
    const login = kubernetesLogin({ role: 'mcp', tokenFile, mount: lab.mounts.kubernetes })
    await isAsSaid(await login.logIn(contextOfClient(client)), lab.policies.server)
    expect(kubernetes.received[0]?.url).toBe('/apis/authentication.k8s.io/v1/tokenreviews')

    writeFileSync(tokenFile, await lab.tokens.sign({ iss: 'kubernetes/serviceaccount', aud: ['vault'] }))
    await expect(login.logIn(contextOfClient(client))).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  })

  test('A token of a file is used until another one is there, and root’s is refused', async () => {
    const made = async (policy: string): Promise<string> => {
      const { body } = await lab.request('POST', 'auth/token/create', { policies: [policy], ttl: '60s' })
      return (body as { auth: { client_token: string } }).auth.client_token
    }
    const token = await made(lab.policies.server)
    const path = privateFile('token', `${token}\n`)
    const login = tokenFileLogin({ path })
    const auth = await login.logIn(contextOfClient(client))
    expect(auth.token.reveal()).toBe(token)
    await isAsSaid(auth, lab.policies.server)
    expect(await login.isCurrent?.(auth.token, { signal: never() })).toBe(true)
    writeFileSync(path, await made(lab.policies.server))
    expect(await login.isCurrent?.(auth.token, { signal: never() })).toBe(false)
    writeFileSync(path, lab.rootToken)
    await expect(login.logIn(contextOfClient(client))).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
    writeFileSync(path, 's.abcdefghijklmnopqrstuvwx')
    await expect(login.logIn(contextOfClient(client))).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  })

  describe.runIf(isAvailable('a Vault with TLS of its own', unstoppableBecause()))('with certificates', () => {
    test('A certificate logs in over connections that show it, a new one after it was replaced', async () => {
      const own = connect({ connections: 1 })
      // A connection that shows none is open already.
      await own.request({ method: 'GET', path: 'sys/seal-status', retry: true }, { signal: never() }).catch(() => {})
      const first = await lab.clientCertificate('first')
      const certificate = join(lab.folder, 'shown.pem')
      const privateKey = join(lab.folder, 'shown.key')
      const put = (pair: typeof first): void => {
        writeFileSync(certificate, readFileSync(pair.certificate))
        writeFileSync(privateKey, readFileSync(pair.key), { mode: 0o600 })
      }
      put(first)
      const login = certificateLogin({ certificate, privateKey: { file: privateKey }, mount: lab.mounts.cert })
      const auth = await login.logIn(contextOfClient(own))
      await isAsSaid(auth, lab.policies.server)
      expect(await seen(auth)).toMatchObject({ meta: { common_name: 'first' } })
      put(await lab.clientCertificate('second'))
      expect(await seen(await login.logIn(contextOfClient(own)))).toMatchObject({ meta: { common_name: 'second' } })
      writeFileSync(certificate, readFileSync(first.certificate))
      await expect(login.logIn(contextOfClient(own))).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
      await own.close()
    })

    test('Vault refuses a role that the certificate does not fit', async () => {
      const { certificate, key } = await lab.clientCertificate('client')
      chmodSync(key, 0o600)
      const login = certificateLogin({ certificate, privateKey: { file: key }, mount: lab.mounts.cert, name: 'other' })
      const own = connect()
      await expect(login.logIn(contextOfClient(own))).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
      await own.close()
    })
  })

  test('The server heeds namespaces, and is asked to prove it', async () => {
    const namespace = 'wire-tests'
    const { status } = await lab.request('POST', `sys/namespaces/${namespace}`)
    expect(status).toBe(200)
    try {
      await namespaceProof(client, namespace)(never())
      await namespaceProof(client, `${namespace}/`)(never())
      await expect(namespaceProof(client, 'wire-none')(never())).rejects.toMatchObject({
        code: 'ERR_DELEGATION_PROTOCOL',
        message: expect.stringContaining('does not know'),
      })
    } finally {
      await lab.request('DELETE', `sys/namespaces/${namespace}`)
    }
  })
})
