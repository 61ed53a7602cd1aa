import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { secret } from '@mcp-delegation/core'
import { isAvailable, missing, unstoppableBecause, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { failureOf } from '../../src/failure.ts'
import type { VaultClient, VaultClientOptions } from '../../src/vault-client.ts'
import { clientOf, failing, never } from '../fixtures/clients.ts'
import { envelope, json, standIn } from '../fixtures/http-stand-in.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('a client of a real server', () => {
  let lab: VaultLab
  let client: VaultClient
  const connect = (options: Partial<VaultClientOptions> = {}): VaultClient =>
    clientOf(lab.address, { ca: readFileSync(lab.ca, 'utf8'), ...options })
  const root = () => secret(lab.rootToken)
  const secretAt = () => ({ method: 'GET', path: `${lab.mounts.kv2}/data/wire/a`, token: root(), retry: true }) as const
  const write = (path: string, body: unknown) => lab.request('POST', path, body)

  beforeAll(async () => {
    lab = await vault()
    client = connect()
    await write(secretAt().path, { data: { password: 'stored' } })
  }, 60_000)
  afterAll(async () => {
    await client?.close()
    await lab?.dispose()
  })

  test('A secret is read, one that is missing or deleted is not there', async () => {
    const { data } = await client.request(secretAt(), { signal: never() })
    expect(data).toMatchObject({ data: { password: 'stored' }, metadata: { version: 1 } })
    const missing = await failing(client, { ...secretAt(), path: `${lab.mounts.kv2}/data/wire/none` })
    expect([missing.status, missing.envelope()]).toEqual([404, undefined])
    await write(`${lab.mounts.kv2}/data/wire/gone`, { data: { password: 'gone' } })
    await lab.request('DELETE', `${lab.mounts.kv2}/data/wire/gone`)
    const deleted = await failing(client, { ...secretAt(), path: `${lab.mounts.kv2}/data/wire/gone` })
    expect([deleted.status, deleted.envelope()?.data?.['data']]).toEqual([404, null])
  })

  test('A version is asked for by a query', async () => {
    const path = `${lab.mounts.kv2}/data/wire/versions`
    for (const password of ['first', 'second']) await write(path, { data: { password } })
    const { data } = await client.request({ ...secretAt(), path, query: { version: '1' } }, { signal: never() })
    expect(data?.['data']).toEqual({ password: 'first' })
  })

  test('Every sign that a path may hold names a secret of its own', async () => {
    for (const sign of '.@|:=~-_') {
      const path = `${lab.mounts.kv1}/wire/a${sign}b`
      await write(path, { sign })
      const { data } = await client.request({ ...secretAt(), path }, { signal: never() })
      expect(data).toEqual({ sign })
    }
    const { body } = await lab.request('GET', `${lab.mounts.kv1}/wire?list=true`)
    expect(body).toMatchObject({ data: { keys: [...'.@|:=~-_'].map((sign) => `a${sign}b`).sort() } })
  })

  test('A token that is unknown or missing is refused, and not repeated', async () => {
    const token = secret('s.abcdefghijklmnopqrstuvwx')
    for (const given of [token, undefined]) {
      const error = await failing(client, { ...secretAt(), token: given })
      expect(error).toMatchObject({ kind: 'status', status: 403, uncertain: false })
      expect(error.message).toContain('permission denied')
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('abcdefghijklmnop')
    }
  })

  test('A login says whose the token is and when it ends; revoked, it has ended', async () => {
    const jwt = await lab.tokens.sign({ sub: 'alice' })
    const { auth, sentAt } = await client.request(
      { method: 'POST', path: `auth/${lab.mounts.jwt}/login`, body: { role: 'user', jwt }, retry: false },
      { signal: never() },
    )
    expect(auth).toMatchObject({ expiresAt: sentAt + 15 * 60_000, renewable: true, uses: 0 })
    expect(auth?.policies).toContain(lab.policies.user)
    const own = { token: auth?.token, retry: false }
    await client.request({ method: 'POST', path: 'auth/token/revoke-self', ...own }, { signal: never() })
    expect(await failing(client, { path: 'auth/token/lookup-self', ...own })).toMatchObject({ status: 403 })
  })

  describe.runIf(isAvailable('a Vault that may be stopped', unstoppableBecause()))('that fails', () => {
    test('A quota is a pause: without Retry-After, with it, and where it is too long', async () => {
      const quota = `sys/quotas/rate-limit/wire`
      try {
        await write(quota, { path: lab.mounts.kv2, rate: 1, interval: '1s' })
        await client.request(secretAt(), { signal: never() })
        const bare = await failing(client, { ...secretAt(), retry: false })
        expect(bare).toMatchObject({ status: 429, retryAt: undefined, uncertain: false })
        expect(failureOf(bare, {})).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', retryAfter: undefined })

        await write('sys/quotas/config', { enable_rate_limit_response_headers: true })
        const told = connect({ clock: { now: () => Date.now() } })
        // Whether the window has just ended or not: the third in a row must have waited for the next one.
        const start = performance.now()
        for (let count = 0; count < 3; count++) await told.request(secretAt(), { signal: never() })
        expect(performance.now() - start).toBeGreaterThan(900)
        await told.close()

        await write(quota, { path: lab.mounts.kv2, rate: 1, interval: '1h' })
        await failing(client, secretAt()).catch(() => {})
        const long = await failing(client, secretAt())
        expect(long.status).toBe(429)
        expect(long.retryAt).toBeGreaterThan(Date.now() + 3_000_000)
        expect(failureOf(long, {}).retryAfter?.getTime()).toBe(long.retryAt)
      } finally {
        await write('sys/quotas/config', { enable_rate_limit_response_headers: false })
        await lab.request('DELETE', quota)
      }
    }, 30_000)

    test('A certificate that can not be trusted is an outage that says what to do', async () => {
      const without = await failing(connect({ ca: undefined }), secretAt())
      expect(without).toMatchObject({ kind: 'unreachable', uncertain: false })
      expect(without.message).toMatch(/"tls.ca".*\(.*(SELF_SIGNED|UNABLE_TO).*\)/)
      expect(failureOf(without, {}).code).toBe('ERR_DELEGATION_UNAVAILABLE')

      const wrong = await failing(connect({ serverName: 'other.example' }), secretAt())
      expect(wrong).toMatchObject({ kind: 'unreachable', uncertain: false })
      expect(wrong.message).toMatch(/"tls.serverName".*ERR_TLS_CERT_ALTNAME_INVALID/)

      const plain = await failing(clientOf(lab.address.replace('https:', 'http:')), secretAt())
      expect(plain).toMatchObject({ kind: 'malformed', uncertain: false })
      expect(plain.message).toMatch(/: 400: .*does it speak https there\?$/)
    })

    test('No variable turns the check of certificates off', async () => {
      vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      for (const [name, value] of [
        ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
        ['VAULT_SKIP_VERIFY', 'true'],
      ] as const)
        vi.stubEnv(name, value)
      try {
        expect(await failing(connect({ ca: undefined }), secretAt())).toMatchObject({ kind: 'unreachable' })
      } finally {
        vi.unstubAllEnvs()
        vi.restoreAllMocks()
      }
    })

    test('A certificate that has expired, or is of another authority, is refused', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'expired-'))
      try {
        const expired = expiredPair(folder)
        await using server = await standIn((response) => json(response, 200, envelope()), expired)
        const error = await failing(clientOf(server.origin, { ca: expired.cert }), secretAt())
        expect(error).toMatchObject({ kind: 'unreachable', uncertain: false })
        expect(error.message).toMatch(/expired.*CERT_HAS_EXPIRED/)
        const other = await failing(connect({ ca: expired.cert }), secretAt())
        expect(other.message).toContain('"tls.ca"')
        expect(server.received).toEqual([])
      } finally {
        rmSync(folder, { recursive: true })
      }
    })

    test('A sealed server is an outage until it is unsealed', async () => {
      const own = connect()
      await own.request(secretAt(), { signal: never() })
      await lab.seal()
      const sealed = await failing(own, secretAt())
      expect(sealed).toMatchObject({ kind: 'status', status: 503, uncertain: true })
      expect(failureOf(sealed, {}).code).toBe('ERR_DELEGATION_UNAVAILABLE')
      await lab.unseal()
      await own.request(secretAt(), { signal: never() })
      await own.close()
    })

    test('A server that hangs is late, whether it was connected or not', async () => {
      const connected = connect({ timeout: 300, connections: 1 })
      await connected.request(secretAt(), { signal: never() })
      lab.pause()
      try {
        const start = performance.now()
        const once = { ...secretAt(), retry: false }
        expect(await failing(connected, once)).toMatchObject({ kind: 'late', uncertain: true })
        expect(await failing(connect({ timeout: 300 }), once)).toMatchObject({ kind: 'late', uncertain: false })
        expect(performance.now() - start).toBeLessThan(1_500)
        expect(failureOf(await failing(connected, secretAt()), {}).code).toBe('ERR_DELEGATION_UNAVAILABLE')
        const abort = new AbortController()
        const aborted = connected.request(secretAt(), { signal: abort.signal })
        setTimeout(() => abort.abort(new Error('enough')), 50)
        await expect(aborted).rejects.toThrow('enough')
      } finally {
        lab.resume()
      }
      await connected.request(secretAt(), { signal: never() })
      await connected.close()
    })

    test('A server that is killed in the middle leaves the outcome open, and is the same client’s when it is back', async () => {
      const own = connect({ connections: 1 })
      await own.request(secretAt(), { signal: never() })
      lab.pause()
      const cut = failing(own, { ...secretAt(), retry: false })
      // What hangs has been sent: the connection was open.
      setTimeout(() => void lab.kill(), 50)
      expect(await cut).toMatchObject({ kind: 'unreachable', uncertain: true })
      await lab.halt()
      const gone = await failing(own, secretAt())
      expect(gone).toMatchObject({ kind: 'unreachable', uncertain: false })
      expect(gone.message).toContain('ECONNREFUSED')
      expect(failureOf(gone, {}).code).toBe('ERR_DELEGATION_UNAVAILABLE')
      await lab.restart()
      expect((await own.request(secretAt(), { signal: never() })).data).toMatchObject({ data: { password: 'stored' } })
      await own.close()
    }, 30_000)
  })
})

/** A certificate of its own authority for this machine, whose time is over. */
function expiredPair(folder: string): { readonly cert: string; readonly key: string } {
  const [key, request, certificate, configuration] = ['key', 'csr', 'pem', 'cnf'].map((end) =>
    join(folder, `x.${end}`),
  ) as [string, string, string, string]
  writeFileSync(join(folder, 'index'), '')
  writeFileSync(
    configuration,
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${folder}/index\nnew_certs_dir=${folder}\nrand_serial=yes\ndefault_md=sha256\n` +
      `policy=any\nx509_extensions=ext\n[any]\ncommonName=supplied\n[ext]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:true\n`,
  )
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })
  openssl('req', '-new', '-newkey', 'rsa:2048', '-noenc', '-subj', '/CN=expired', '-keyout', key, '-out', request)
  const times = ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z']
  openssl(
    'ca',
    '-batch',
    '-selfsign',
    '-config',
    configuration,
    '-keyfile',
    key,
    '-in',
    request,
    '-out',
    certificate,
    ...times,
    '-notext',
  )
  return { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') }
}
