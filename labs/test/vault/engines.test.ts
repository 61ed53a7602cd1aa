import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAvailable, missing, type VaultLab, vault } from '../../src/vault/index.ts'
import { login } from './login.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('the engines', () => {
  let lab: VaultLab
  let alice: string
  let bob: string
  beforeAll(async () => {
    lab = await vault({ postgresql: true, ldap: true, ssh: true })
    alice = await login(lab, 'alice')
    bob = await login(lab, 'bob')
  }, 60_000)
  afterAll(() => lab?.dispose())

  /** What is answered to a user, whose token it is. */
  const as = async (token: string, method: string, path: string, body?: unknown) => {
    const answer = await lab.request(method, path, body, { token })
    return { status: answer.status, ...(answer.body as { lease_id?: string; data?: Record<string, string> }) }
  }

  test('make a database user that reads, until its lease is revoked', async () => {
    await lab.postgresql.query('CREATE TABLE IF NOT EXISTS invoices AS SELECT 1 AS id')
    const { lease_id: lease, data } = await as(alice, 'GET', `${lab.mounts.database}/creds/readonly`)
    const who = { username: data?.['username'] ?? '', password: data?.['password'] ?? '' }
    const connection = await lab.postgresql.connect(who)
    expect((await connection.query('SELECT id FROM invoices')).rows).toEqual([{ id: 1 }])
    await expect(connection.query('DELETE FROM invoices')).rejects.toMatchObject({ code: '42501' })
    await connection.end()
    expect(await lab.leases()).toEqual([lease])
    expect(await lab.leases(`${lab.mounts.database}/creds/readonly`)).toEqual([lease])
    await lab.request('PUT', 'sys/leases/revoke', { lease_id: lease, sync: true })
    expect(await lab.leases()).toEqual([])
    expect(await lab.postgresql.accepts(who)).toBe(false)
  })

  test('keep the password of a database account, for its owner alone', async () => {
    const path = `${lab.mounts.database}/static-creds/alice`
    const { data } = await as(alice, 'GET', path)
    expect(await lab.postgresql.accepts({ username: 'alice_app', password: data?.['password'] ?? '' })).toBe(true)
    expect(await as(bob, 'GET', path)).toMatchObject({ status: 403 })
  })

  test('keep the password of an LDAP account, for its owner alone', async () => {
    const path = `${lab.mounts.ldap}/static-cred/alice`
    const { data } = await as(alice, 'GET', path)
    expect(await lab.ldap.bind(lab.ldap.people['alice']?.dn ?? '', data?.['password'] ?? '')).toBe(true)
    expect(await as(bob, 'GET', path)).toMatchObject({ status: 403 })
  })

  test('make an LDAP account, until its lease is revoked', async () => {
    const { lease_id, data } = await as(bob, 'GET', `${lab.mounts.ldap}/creds/bob`)
    const dn = `uid=${data?.['username']},${lab.ldap.peopleBase}`
    expect(await lab.ldap.bind(dn, data?.['password'] ?? '')).toBe(true)
    await lab.request('PUT', 'sys/leases/revoke', { lease_id, sync: true })
    expect(await lab.ldap.exists(dn)).toBe(false)
  })

  test('lend a service account, and take it back', async () => {
    const library = `${lab.mounts.ldap}/library/alice`
    const { lease_id, data } = await as(alice, 'POST', `${library}/check-out`, {})
    const name = data?.['service_account_name'] ?? ''
    expect(await lab.ldap.bind(lab.ldap.services[name]?.dn ?? '', data?.['password'] ?? '')).toBe(true)
    expect(await lab.leases()).toEqual([lease_id])
    expect(await as(alice, 'POST', `${library}/check-in`, { service_account_names: [name] })).toMatchObject({
      status: 200,
    })
    expect(await lab.ldap.bind(lab.ldap.services[name]?.dn ?? '', data?.['password'] ?? '')).toBe(false)
    // A check-in leaves the lease.
    expect(await lab.leases()).toEqual([lease_id])
    await lab.request('PUT', 'sys/leases/revoke', { lease_id, sync: true })
    expect(await lab.leases()).toEqual([])
  })

  test('sign SSH keys and issue certificates in the name of the user alone', async () => {
    const key = join(lab.folder, 'id')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const public_key = readFileSync(`${key}.pub`, 'utf8')
    const sign = (valid_principals: string) =>
      as(alice, 'POST', `${lab.mounts.ssh}/sign/user`, { public_key, valid_principals })
    const signed = await sign('alice')
    const identity = { privateKey: readFileSync(key, 'utf8'), certificate: signed.data?.['signed_key'] ?? '' }
    expect(await lab.ssh.login(identity)).toMatchObject({ principal: 'alice' })
    expect(await sign('bob')).toMatchObject({ status: 400 })
    const issue = (common_name: string) => as(alice, 'POST', `${lab.mounts.pki}/issue/user`, { common_name })
    const { data } = await issue('alice')
    expect(new X509Certificate(data?.['certificate'] ?? '').subject).toBe('CN=alice')
    expect(await issue('bob')).toMatchObject({ status: 400 })
  })
})
