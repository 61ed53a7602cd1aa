import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isAvailable, missing, vault } from '../../src/vault/index.ts'
import { issuedSecrets } from '../../src/vault/issued-secrets.ts'
import { login } from './login.ts'

const line = (entry: object): string => `${JSON.stringify(entry)}\n`

describe('the secrets in an audit file', () => {
  test('are tokens, passwords, and lines of private keys, and no names', () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIabcdefgh\nijklmnop==\n-----END EC PRIVATE KEY-----'
    const audit =
      line({ auth: { client_token: 's.of-a-login', accessor: 'accessor-of-it', display_name: 'jwt-alice' } }) +
      line({
        request: { path: 'database/creds/readonly' },
        response: { data: { username: 'v-alice-1', password: 'pass-word' } },
      }) +
      line({ response: { data: { private_key: key, serial_number: '12:34:56:78' } } })
    expect([...issuedSecrets(audit)]).toEqual(['s.of-a-login', 'pass-word', 'MHcCAQEEIabcdefgh', 'ijklmnop=='])
  })

  test('are all values of a KV engine but user names, in both versions', () => {
    const kv = { mount_type: 'kv', path: 'kv/data/users/alice/billing' }
    const audit =
      line({
        request: kv,
        response: {
          data: {
            data: { username: 'alice-at-billing', pin: '12345678', short: '1234567' },
            metadata: { created_time: '2026-11-22' },
          },
        },
      }) +
      line({ request: kv, response: { data: { created_time: '2026-11-22', version: 2 } } }) +
      line({ request: { ...kv, data: { apiKey: 'of-version-1' } } }) +
      line({ request: kv, response: { data: { error: 'permission denied' } } }) +
      line({ response: { data: { pin: 'of-no-kv-engine' } } })
    expect([...issuedSecrets(audit)]).toEqual(['12345678', 'of-version-1'])
  })

  test('end with the last whole line', () => {
    expect([...issuedSecrets(`${line({ token: 'the-first' })}{"token":"the-seco`)]).toEqual(['the-first'])
    expect([...issuedSecrets(`{"token":"half{"token":"x"}\n${line({ token: 'the-third' })}`)]).toEqual(['the-third'])
  })
})

describe.runIf(isAvailable('the Vault lab', missing()))('the lab', () => {
  const folder = mkdtempSync(join(tmpdir(), 'issued-'))
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  test('reports at its end every secret that the server issued', async () => {
    const target = join(folder, 'secrets')
    vi.stubEnv('ISSUED_SECRETS', target)
    const lab = await vault()
    const jwt = await lab.tokens.sign({ sub: 'alice' })
    await lab.request('POST', `auth/${lab.mounts.jwt}/login`, { role: 'user', jwt }, { token: '' })
    const token = await login(lab, 'bob')
    const { secretId } = await lab.appRole()
    await lab.request('POST', `${lab.mounts.kv2}/data/users/bob/billing`, { data: { pin: 'only-written' } })
    const issued = await lab.request('POST', `${lab.mounts.pki}/issue/server`, { common_name: 'bob' })
    const { private_key: key } = (issued.body as { data: { private_key: string } }).data
    await lab.kill()
    await lab.dispose()
    const secrets = readFileSync(target, 'utf8').split('\n')
    for (const secret of [jwt, token, secretId, lab.rootToken, 'only-written', key.split('\n')[1]])
      expect(secrets).toContain(secret)
    expect(secrets.slice(0, -1).every((secret) => secret.length >= 8)).toBe(true)
  })
})
