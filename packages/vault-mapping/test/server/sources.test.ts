import { X509Certificate } from 'node:crypto'
import type { PasswordCredential } from '@mcp-delegation/core'
import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { database } from '../../src/sources/database.ts'
import { databaseStatic } from '../../src/sources/database-static.ts'
import { kv1 } from '../../src/sources/kv1.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { ldapDynamic } from '../../src/sources/ldap-dynamic.ts'
import { ldapLibrary } from '../../src/sources/ldap-library.ts'
import { ldapStatic } from '../../src/sources/ldap-static.ts'
import { pki } from '../../src/sources/pki.ts'
import type { Obtained, SourceContext } from '../../src/sources/source.ts'
import { ssh } from '../../src/sources/ssh.ts'
import { failing } from '../support/contexts.ts'
import { type SourceContexts, sourceContexts } from './source-contexts.ts'
import { whoAmI } from './support.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('at a real server', () => {
  let lab: VaultLab
  let contexts: SourceContexts
  let [alice, bob, root]: SourceContext[] = []
  beforeAll(async () => {
    lab = await vault({ postgresql: true, ldap: true, ssh: true })
    contexts = sourceContexts(lab)
    alice = await contexts.of('alice')
    bob = await contexts.of('bob')
    root = await contexts.of('alice', lab.rootToken)
  }, 60_000)
  afterAll(async () => {
    await contexts?.close()
    await lab?.dispose()
  })
  afterEach(async () => {
    for (const lease of await lab.leases())
      await lab.request('PUT', 'sys/leases/revoke', { lease_id: lease, sync: true })
    expect(await lab.leases()).toEqual([])
  })

  const as = (context: SourceContext | undefined, principal?: string): SourceContext => {
    const { who, ...rest } = context as SourceContext
    return { ...rest, who: { ...who, principal: principal ?? who.principal } }
  }
  const write = async (path: string, body?: object, method = 'POST'): Promise<void> => {
    const { status, body: answer } = await lab.request(method, path, body)
    if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`)
  }
  const login = ({ value }: Obtained<PasswordCredential>) => ({
    username: value.username,
    password: value.password.reveal(),
  })

  describe('kv2', () => {
    const source = () => kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' })
    const put = (name: string, data: object) => write(`${lab.mounts.kv2}/data/users/${name}`, { data })

    test('gives each user the own secret and nobody another one', async () => {
      await put('alice/vcenter', { username: 'alice@vsphere.local', password: 'kept-for-alice' })
      await put('bob/vcenter', { username: 'bob@vsphere.local', password: 'of bob' })
      expect(login(await source().obtain(as(alice)))).toEqual({
        username: 'alice@vsphere.local',
        password: 'kept-for-alice',
      })
      expect(login(await source().obtain(as(bob)))).toEqual({ username: 'bob@vsphere.local', password: 'of bob' })
      await expect(source().obtain(as(alice, 'bob'))).rejects.toMatchObject({ name: 'VaultError', status: 403 })
    })
    test('tells the users Alice and alice apart', async () => {
      await put('alice/vcenter', { username: 'small', password: 'x' })
      await put('Alice/vcenter', { username: 'large', password: 'x' })
      expect((await source().obtain(as(root, 'Alice'))).principal).toBe('large')
      expect((await source().obtain(as(root, 'alice'))).principal).toBe('small')
    })
    test('gives Alice nothing of alice, although the server takes both for one', async () => {
      await put('alice/vcenter', { username: 'small', password: 'x' })
      await put('Alice/vcenter', { username: 'large', password: 'x' })
      const large = await contexts.of('Alice')
      // Names of identities have no case at the server: the policy of who came first.
      expect((await large.read(`${lab.mounts.kv2}/data/users/alice/vcenter`)).data).toBeDefined()
      await expect(source().obtain(large)).rejects.toMatchObject({ name: 'VaultError', status: 403 })
    })
    test('reads the version of the options', async () => {
      await put('bob/versions', { username: 'one', password: 'x' })
      await put('bob/versions', { username: 'two', password: 'x' })
      const options = { mount: lab.mounts.kv2, path: 'users/{principal}/versions' }
      expect((await kv2(options).obtain(as(bob))).principal).toBe('two')
      expect((await kv2({ ...options, version: 1 }).obtain(as(bob))).principal).toBe('one')
      await expect(kv2({ ...options, version: 9 }).obtain(as(bob))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
    })
    test('tells who never had a secret from whose secret was taken away', async () => {
      const of = (name: string) => kv2({ mount: lab.mounts.kv2, path: `users/{principal}/${name}` }).obtain(as(bob))
      const gone = failing('ERR_DELEGATION_DENIED')
      await expect(of('never')).rejects.toEqual(failing('ERR_DELEGATION_NO_IDENTITY'))
      await put('bob/deleted', { username: 'x', password: 'x' })
      await write(`${lab.mounts.kv2}/data/users/bob/deleted`, undefined, 'DELETE')
      await expect(of('deleted')).rejects.toEqual(gone)
      await put('bob/destroyed', { username: 'x', password: 'x' })
      await write(`${lab.mounts.kv2}/destroy/users/bob/destroyed`, { versions: [1] })
      await expect(of('destroyed')).rejects.toEqual(gone)
      await write(`${lab.mounts.kv2}/metadata/users/bob/empty`, { max_versions: 3 })
      await expect(of('empty')).rejects.toEqual(gone)
    })
    test('takes no other mount for one without the secret', async () => {
      const path = 'users/{principal}/none'
      for (const mount of [lab.mounts.kv1, `${lab.mounts.kv2}/data`, lab.mounts.database])
        await expect(kv2({ mount, path }).obtain(as(root))).rejects.toEqual(failing('ERR_DELEGATION_PROTOCOL'))
      await expect(kv2({ mount: 'nowhere', path }).obtain(as(root))).rejects.toMatchObject({ status: 403 })
      await expect(kv2({ mount: lab.mounts.kv1, path }).obtain(as(alice))).rejects.toMatchObject({ status: 403 })
    })
    test('finds who has a subject that no path can hold by the digest', async () => {
      const subject = 'auth0|../../bob'
      const who = { principal: 'unused', issuer: 'https://issuer.example', subject }
      // printf '22:https://issuer.example,15:auth0|../../bob,' | sha256sum
      const digest = '42acb7c2de7b63b5723d864d905f93c90422ebc0d1f3981264b7825a60156188'
      await put(`${digest}/vcenter`, { username: 'by the digest', password: 'x' })
      const byDigest = kv2({ mount: lab.mounts.kv2, path: 'users/{identity}/vcenter' })
      expect((await byDigest.obtain({ ...as(root), who })).principal).toBe('by the digest')
    })
  })

  describe('kv1', () => {
    const path = 'users/{principal}/vcenter'
    test('gives each user the own secret and nobody another one', async () => {
      await write(`${lab.mounts.kv1}/users/alice/vcenter`, { pat: 'kept-for-alice' })
      const source = kv1({ mount: lab.mounts.kv1, path, kind: 'bearer', fields: { token: 'pat' } })
      expect((await source.obtain(as(alice))).value.token.reveal()).toBe('kept-for-alice')
      await expect(source.obtain(as(bob, 'alice'))).rejects.toMatchObject({ status: 403 })
    })
    test('says what the options say where there is no secret, and takes no other mount for one without', async () => {
      const options = { mount: lab.mounts.kv1, path, missing: 'no-identity' } as const
      await expect(kv1(options).obtain(as(bob))).rejects.toEqual(failing('ERR_DELEGATION_NO_IDENTITY'))
      await expect(kv1({ ...options, missing: undefined }).obtain(as(bob))).rejects.toEqual(
        failing('ERR_DELEGATION_DENIED'),
      )
      await expect(kv1({ ...options, mount: lab.mounts.kv2 }).obtain(as(root))).rejects.toEqual(
        failing('ERR_DELEGATION_PROTOCOL'),
      )
    })
  })

  describe('database', () => {
    test('makes a user that logs in as the one that is named, with a lease', async () => {
      const obtained = await database({ mount: lab.mounts.database, role: 'readonly' }).obtain(as(alice))
      expect(await whoAmI(lab, obtained.value)).toBe(obtained.principal)
      expect(await lab.leases()).toEqual([contexts.leases.at(-1)])
      expect(Math.abs(obtained.expiresAt - Date.now() - 600_000)).toBeLessThan(5_000)
    })
    test('denies whose role is not there, and finds a misspelled one', async () => {
      const { database: mount } = lab.mounts
      await expect(database({ mount, role: '{principal}' }).obtain(as(bob))).rejects.toEqual(
        failing('ERR_DELEGATION_DENIED'),
      )
      await expect(database({ mount, role: 'red-only' }).obtain(as(root))).rejects.toEqual(
        failing('ERR_DELEGATION_PROTOCOL'),
      )
    })
  })

  describe('databaseStatic', () => {
    test("gives the user's own account, and nobody another one's", async () => {
      const source = databaseStatic({ mount: lab.mounts.database, role: '{principal}' })
      const obtained = await source.obtain(as(alice))
      expect(await whoAmI(lab, obtained.value)).toBe('alice_app')
      expect(obtained.principal).toBe('alice_app')
      await expect(source.obtain(as(bob, 'alice'))).rejects.toMatchObject({ status: 403 })
      await expect(source.obtain(as(bob))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
    })
    test('gives a password that is good through a rotation', async () => {
      await lab.postgresql.query('CREATE ROLE rotated LOGIN')
      const role = { db_name: 'postgresql', username: 'rotated', rotation_period: '6s' }
      await write(`${lab.mounts.database}/static-roles/rotating-alice`, role)
      const source = databaseStatic({ mount: lab.mounts.database, role: 'rotating-{principal}' })
      const passwords = new Set<string>()
      const until = Date.now() + 20_000
      while (passwords.size < 2 && Date.now() < until) {
        const obtained = await source.obtain(as(root))
        expect(await whoAmI(lab, obtained.value)).toBe('rotated')
        passwords.add(obtained.value.password.reveal())
        await new Promise((resolve) => setTimeout(resolve, obtained.expiresAt - Date.now()))
      }
      expect(passwords.size).toBe(2)
    }, 30_000)
  })

  describe('the directory', () => {
    test("gives the user's own account, and nobody another one's", async () => {
      const source = ldapStatic({ mount: lab.mounts.ldap, role: '{principal}' })
      const obtained = await source.obtain(as(alice))
      expect(obtained.principal).toBe('alice')
      expect(await lab.ldap.bind(lab.ldap.people['alice']?.dn ?? '', obtained.value.password.reveal())).toBe(true)
      await expect(source.obtain(as(bob, 'alice'))).rejects.toMatchObject({ status: 403 })
    })
    test('is asked for nothing of Alice, since the engine would give the account of alice', async () => {
      const large = as(root, 'Alice')
      expect((await large.read(`${lab.mounts.ldap}/static-cred/Alice`)).data).toMatchObject({ username: 'alice' })
      const { sent } = contexts
      for (const source of [ldapStatic, ldapDynamic])
        await expect(source({ mount: lab.mounts.ldap, role: '{principal}' }).obtain(large)).rejects.toEqual(
          failing('ERR_DELEGATION_DENIED'),
        )
      expect(contexts.sent).toBe(sent)
    })
    test('makes an account that binds, with a lease', async () => {
      const obtained = await ldapDynamic({ mount: lab.mounts.ldap, role: '{principal}' }).obtain(as(bob))
      const { username, password } = login(obtained)
      expect(await lab.ldap.bind(`uid=${username},${lab.ldap.peopleBase}`, password)).toBe(true)
      expect(await lab.leases()).toEqual([contexts.leases.at(-1)])
      await expect(ldapDynamic({ mount: lab.mounts.ldap, role: 'nobody' }).obtain(as(root))).rejects.toEqual(
        failing('ERR_DELEGATION_PROTOCOL'),
      )
    })
    test('lends each account to one at a time, until the lease ends', async () => {
      const source = ldapLibrary({ mount: lab.mounts.ldap, set: '{principal}', ttl: 60_000 })
      const before = contexts.leases.length
      const lent = [await source.obtain(as(alice)), await source.obtain(as(alice))]
      expect(new Set(lent.map(({ principal }) => principal)).size).toBe(2)
      for (const one of lent) {
        const { username, password } = login(one)
        expect(await lab.ldap.bind(lab.ldap.services[username]?.dn ?? '', password)).toBe(true)
        expect(Math.abs(one.expiresAt - Date.now() - 60_000)).toBeLessThan(5_000)
      }
      // With and without the right to read the status.
      for (const context of [alice, root])
        await expect(source.obtain(as(context))).rejects.toEqual(failing('ERR_DELEGATION_UNAVAILABLE'))
      const [first] = lent
      await write('sys/leases/revoke', { lease_id: contexts.leases[before], sync: true }, 'PUT')
      expect((await source.obtain(as(alice))).principal).toBe(first?.principal)
      await expect(ldapLibrary({ mount: lab.mounts.ldap, set: 'none' }).obtain(as(root))).rejects.toEqual(
        failing('ERR_DELEGATION_PROTOCOL'),
      )
    })
  })

  describe('ssh', () => {
    const source = (role = 'user') => ssh({ mount: lab.mounts.ssh, role, principals: ['{principal}'], ttl: 60_000 })
    test('signs a key that opens the door of a real sshd to the user', async () => {
      const { value, expiresAt } = await source().obtain(as(alice))
      const identity = { privateKey: value.privateKey.reveal(), certificate: value.certificate }
      expect(await lab.ssh.login(identity)).toMatchObject({ principal: 'alice' })
      expect(Math.abs(expiresAt - Date.now() - 60_000)).toBeLessThan(5_000)
      const stranger = await source('server').obtain(as(root, 'mallory'))
      expect(
        await lab.ssh.login({
          privateKey: stranger.value.privateKey.reveal(),
          certificate: stranger.value.certificate,
        }),
      ).toBeUndefined()
    })
    test('denies what the role refuses', async () => {
      await expect(source().obtain(as(alice, 'bob'))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
      await expect(source('none').obtain(as(root))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
    })
  })

  describe('pki', () => {
    const source = (role = 'user') => pki({ mount: lab.mounts.pki, role, commonName: '{principal}', ttl: 60_000 })
    test('issues a certificate of the user that the authority signed', async () => {
      const { value, principal, expiresAt } = await source().obtain(as(alice))
      expect(principal).toBe('alice')
      const { body } = await lab.request('GET', `${lab.mounts.pki}/cert/ca`)
      const authority = new X509Certificate((body as { data: { certificate: string } }).data.certificate)
      const certificate = new X509Certificate(value.certificate)
      expect(certificate.subject).toBe('CN=alice')
      expect(certificate.checkIssued(authority) && certificate.verify(authority.publicKey)).toBe(true)
      expect(new X509Certificate(value.chain[0] ?? '').fingerprint256).toBe(authority.fingerprint256)
      expect(Math.abs(expiresAt - Date.now() - 60_000)).toBeLessThan(5_000)
      expect(await lab.leases()).toEqual([])
    })
    test('hands out the lease that a role makes', async () => {
      const role = { key_type: 'ec', allow_any_name: true, enforce_hostnames: false, generate_lease: true, ttl: '5m' }
      await write(`${lab.mounts.pki}/roles/leased`, { ...role, no_store: false })
      await source('leased').obtain(as(root))
      expect(await lab.leases()).toEqual([contexts.leases.at(-1)])
    })
    test('has the alternative names that were asked for', async () => {
      const role = {
        key_type: 'ec',
        allow_any_name: true,
        enforce_hostnames: false,
        allowed_uri_sans: ['spiffe://*'],
        ttl: '5m',
      }
      await write(`${lab.mounts.pki}/roles/named`, role)
      const named = pki({
        mount: lab.mounts.pki,
        role: 'named',
        commonName: '{principal}',
        altNames: ['{principal}.users.example'],
        uriSans: ['spiffe://corp.example/user/{principal}'],
      })
      const { value } = await named.obtain(as(root))
      const names = new X509Certificate(value.certificate).subjectAltName
      expect(names).toContain('DNS:alice.users.example')
      expect(names).toContain('URI:spiffe://corp.example/user/alice')
    })
    test('denies what the role refuses', async () => {
      await expect(source().obtain(as(alice, 'bob'))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
      await expect(source('none').obtain(as(root))).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
    })
  })
})
