import { X509Certificate } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AnyModule, PasswordCredential, Session } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { isAvailable, missing, unstoppableBecause, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { findProgram } from '../../../../labs/src/vault/program.ts'
import { appRoleLogin } from '../../src/logins/app-role-login.ts'
import { certificateLogin } from '../../src/logins/certificate-login.ts'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
import type { LoginMethod } from '../../src/logins/login-method.ts'
import { tokenFileLogin } from '../../src/logins/token-file-login.ts'
import { database } from '../../src/sources/database.ts'
import { databaseStatic } from '../../src/sources/database-static.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { ldapStatic } from '../../src/sources/ldap-static.ts'
import { pki } from '../../src/sources/pki.ts'
import { ssh } from '../../src/sources/ssh.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import { credentials } from '../fixtures/credentials.ts'
import { type Step, shell, stepsOf } from '../fixtures/page-steps.ts'
import { dynamicUsers, eventually, registryOf, sessionsOf, whoAmI } from './support.ts'

// docs/vault.md shows commands that run, in the order of the page, against a server that is empty at first. What the page
// calls by example names is the lab's here.

const PAGE = readFileSync(fileURLToPath(new URL('../../../../docs/vault.md', import.meta.url)), 'utf8')
const steps = stepsOf(PAGE)
const rotation = steps.findIndex(({ script }) => script.includes('rotate-role'))
const secrets = { ALICE_PASSWORD: 'alice-1', BOB_PASSWORD: 'bob-1', NEW_PASSWORD: 'alice-2', TEAM_PASSWORD: 'team-1' }

/** A registry with the target `vcenter`. */
interface Giving {
  readonly delegate: (
    module: 'vault',
    session: Session,
    request: { readonly target: 'vcenter' },
  ) => Promise<{ readonly value: unknown }>
}

describe.runIf(isAvailable('a Vault lab that can be emptied', [...missing(), ...unstoppableBecause()]))(
  'the set-up page',
  () => {
    let lab: VaultLab
    let folder: string
    let sessionOf: ReturnType<typeof sessionsOf>

    async function follow(step: Step): Promise<void> {
      const { line, language, prints } = step
      const script = inTheLab(step.script)
      if (language === 'sql') return void (await lab.postgresql.query(script))
      const env = {
        ...secrets,
        PATH: `${folder}${delimiter}${process.env['PATH']}`,
        HOME: folder,
        ...{ BAO_ADDR: lab.address, BAO_TOKEN: lab.rootToken, BAO_CACERT: lab.ca },
        ...{ VAULT_ADDR: lab.address, VAULT_TOKEN: lab.rootToken, VAULT_CACERT: lab.ca },
      }
      const { status, stdout, stderr } = await shell(script, { cwd: folder, env })
      expect({ line, status, stderr: status === 0 ? '' : stderr }).toEqual({ line, status: 0, stderr: '' })
      expect({ line, missing: prints.filter((part) => !stdout.includes(part)) }).toEqual({ line, missing: [] })
    }

    function inTheLab(script: string): string {
      const { tokens, postgresql, ldap } = lab
      const names: readonly (readonly [string, string])[] = [
        ['https://idp.example.com', tokens.issuer],
        ['https://mcp.example.com/mcp', tokens.audience],
        ['postgresql://{{username}}:{{password}}@db.example.com:5432/app', postgresql.connectionUrl],
        ['ldaps://ldap.corp.example', ldap.url],
      ]
      return names.reduce((text, [name, real]) => text.replaceAll(name, real), script)
    }

    beforeAll(async () => {
      lab = await vault({ postgresql: true, ldap: true })
      sessionOf = sessionsOf(lab)
      folder = mkdtempSync(join(lab.folder, 'pages-'))
      symlinkSync(findProgram()?.path ?? '', join(folder, 'bao'))
      writeFileSync(join(folder, 'ldap-password'), lab.ldap.administrator.password)
      for (const name of ['machines-ca.pem', 'cluster-ca.pem']) copyFileSync(lab.ca, join(folder, name))
      const { jwt, appRole, cert, kubernetes, ...engines } = lab.mounts
      for (const mount of [jwt, appRole, cert, kubernetes]) await lab.request('DELETE', `sys/auth/${mount}`)
      for (const mount of Object.values(engines)) await lab.request('DELETE', `sys/mounts/${mount}`)
      for (const step of steps.slice(0, rotation)) await follow(step)
    }, 120_000)
    afterAll(() => lab?.dispose())

    const registries: AsyncDisposable[] = []
    function open<const M extends AnyModule>(module: M) {
      const { registry } = registryOf({ vault: module })
      registries.push(registry)
      return registry
    }
    afterEach(async () => {
      for (const registry of registries.splice(0)) await registry[Symbol.asyncDispose]()
      expect(await eventually(() => lab.leases(), isEmpty)).toEqual([])
    })

    const connection = () => ({ address: lab.address, tls: { ca: lab.ca } })
    const principal = () => ({ issuers: [{ issuer: lab.tokens.issuer, claim: 'sub' }] })
    const asUser = () => open(credentials({ address: lab.address, ca: lab.ca, issuer: lab.tokens.issuer }))

    /** What the target `vcenter` gives, revealed. */
    async function stored({ delegate }: Giving, name: string): Promise<readonly string[]> {
      const { value } = await delegate('vault', await sessionOf(name), { target: 'vcenter' })
      const { username, password } = value as PasswordCredential
      return [username, password.reveal()]
    }

    async function dataOf(path: string): Promise<object> {
      return ((await lab.request('GET', path)).body as { data: object }).data
    }

    async function must(path: string, body: unknown): Promise<void> {
      expect(await lab.request('POST', path, body)).toMatchObject({ status: 204 })
    }

    test('has steps for all of it', () => {
      expect(steps.length).toBeGreaterThanOrEqual(16)
      expect(rotation).toBeGreaterThan(10)
    })

    test('gives each user the secret that is stored for them', async () => {
      const registry = asUser()
      expect(await registry.check()).toEqual({ vault: undefined })
      expect(await stored(registry, 'alice')).toEqual(['alice@vsphere.local', secrets.ALICE_PASSWORD])
      expect(await stored(registry, 'bob')).toEqual(['bob@vsphere.local', secrets.BOB_PASSWORD])
      expect(await codeOf(stored(registry, 'carol'))).toBe('ERR_DELEGATION_NO_IDENTITY')
    })

    test('gives alice accounts in the database and the directory that let her in', async () => {
      const registry = asUser()
      const session = await sessionOf('alice')
      const give = async (target: 'billing' | 'reports' | 'directory' | 'temporary' | 'helpdesk') => {
        const { value } = await registry.delegate('vault', session, { target })
        return value as PasswordCredential
      }
      expect(await whoAmI(lab, await give('billing'))).toMatch(/^v-.*billing/)
      expect(await whoAmI(lab, await give('reports'))).toBe('alice_reports')
      for (const [target, parent] of [
        ['directory', lab.ldap.peopleBase],
        ['temporary', lab.ldap.peopleBase],
        ['helpdesk', lab.ldap.servicesBase],
      ] as const) {
        const { username, password } = await give(target)
        expect([target, await lab.ldap.bind(`uid=${username},${parent}`, password.reveal())]).toEqual([target, true])
      }
    })

    test('gives alice certificates in her name', async () => {
      const registry = asUser()
      const session = await sessionOf('alice')
      const hosts = await registry.delegate('vault', session, { target: 'hosts' })
      expect(hosts.value).toMatchObject({ kind: 'ssh-certificate', username: 'alice' })
      const api = await registry.delegate('vault', session, { target: 'api' })
      expect(api.value.kind === 'certificate' && new X509Certificate(api.value.certificate).subject).toBe('CN=alice')
    })

    test('lets Vault refuse alice whatever is bob’s, where a mapping is wrong', async () => {
      const principal = { issuers: [{ issuer: lab.tokens.issuer, principal: () => 'bob' }] }
      const targets = {
        vcenter: kv2({ path: 'users/{principal}/vcenter' }),
        reports: databaseStatic({ role: '{principal}-reports' }),
        directory: ldapStatic({ role: '{principal}' }),
        hosts: ssh({ role: 'users', principals: ['{principal}'] }),
        api: pki({ role: 'users', commonName: '{principal}' }),
      }
      const registry = open(vaultMapping({ ...connection(), login: jwtLogin({ role: 'mcp' }), principal, targets }))
      for (const target of Object.keys(targets) as (keyof typeof targets)[])
        expect([target, await codeOf(registry.delegate('vault', await sessionOf('alice'), { target }))]).toEqual([
          target,
          'ERR_DELEGATION_DENIED',
        ])
    })

    test('takes only tokens that are meant for this server', async () => {
      const login = async (claims: object) => {
        const jwt = await lab.tokens.sign({ sub: 'alice', ...claims })
        return (await lab.request('POST', 'auth/jwt/login', { role: 'mcp', jwt }, { token: '' })).status
      }
      expect(await login({})).toBe(200)
      expect(await login({ aud: 'https://other.example.com' })).toBe(400)
      expect(await login({ iss: 'https://other.example.com' })).toBe(400)
    })

    test('is not read by Vault as a pattern of names', async () => {
      for (const sub of ['+', '*', 'bo*', 'alice/../bob', '%62ob']) {
        const login = { role: 'mcp', jwt: await lab.tokens.sign({ sub }) }
        const { body } = await lab.request('POST', 'auth/jwt/login', login, { token: '' })
        const { client_token: token } = (body as { auth: { client_token: string } }).auth
        const { status } = await lab.request('GET', 'secret/data/users/bob/vcenter', undefined, { token })
        expect([sub, status]).toEqual([sub, 403])
        expect(await codeOf(stored(asUser(), sub))).toBe('ERR_DELEGATION_DENIED')
      }
    })

    test('ends what is open at the database with its lease', async () => {
      const registry = asUser()
      const session = await sessionOf('alice')
      const { value } = await registry.delegate('vault', session, { target: 'billing' })
      const { username, password } = value as PasswordCredential
      const client = await lab.postgresql.connect({ username, password: password.reveal() })
      const ended = new Promise((resolve) => client.once('end', resolve))
      await registry.block(session)
      await ended
      expect(await eventually(() => dynamicUsers(lab), isEmpty)).toEqual([])
    })

    test('lists what the policy “default” gives', async () => {
      const rows = [...PAGE.matchAll(/^\| ((?:`(?:auth\/token|sys)\/[\w/-]+`(?:, )?)+) \| (\w+) \|/gm)]
      expect(rows.length).toBeGreaterThan(3)
      const policy = rows.flatMap(([, paths = '', capability]) =>
        (paths.match(/[\w/-]+/g) ?? []).map((path) => `path "${path}" { capabilities = ["${capability}"] }`),
      )
      policy.push('path "database/creds/short-reports" { capabilities = ["read"] }')
      await must('sys/policies/acl/mcp-bare', { policy: policy.join('\n') })
      const bare = { token_policies: ['mcp-user', 'mcp-bare'], token_no_default_policy: true, token_ttl: 5 }
      await must('auth/jwt/role/bare', { ...(await dataOf('auth/jwt/role/mcp')), ...bare })
      await must('database/roles/short-reports', { ...(await dataOf('database/roles/billing')), default_ttl: 4 })
      const targets = {
        vcenter: kv2({ path: 'users/{principal}/vcenter' }),
        billing: database({ role: 'short-reports' }),
      }
      const registry = open(
        vaultMapping({ ...connection(), login: jwtLogin({ role: 'bare' }), principal: principal(), targets }),
      )
      expect(await codeOf(stored(registry, 'carol'))).toBe('ERR_DELEGATION_NO_IDENTITY')
      const lease = await registry.delegate('vault', await sessionOf('alice'), { target: 'billing' })
      const first = lease.expiresAt.getTime()
      // The lease is renewed, and so is its token: it would be over by then.
      await vi.waitFor(() => expect(lease.expiresAt.getTime()).toBeGreaterThan(first + 2_000), 10_000)
      await lease[Symbol.asyncDispose]()
    })

    describe('for a server that logs in as itself', () => {
      const file = (name: string) => ({ file: join(folder, name) })
      const roleId = () => readFileSync(join(folder, 'role-id'), 'utf8').trim()
      const logins: [string, () => Promise<LoginMethod>][] = [
        ['AppRole', async () => appRoleLogin({ roleId: roleId(), secretId: file('secret-id') })],
        ['Vault Agent', async () => tokenFileLogin({ path: join(folder, 'vault-token') })],
        [
          'TLS certificates',
          async () => {
            const { certificate, key } = await lab.clientCertificate('mcp.example.com')
            return certificateLogin({ name: 'mcp', certificate, privateKey: { file: key } })
          },
        ],
      ]
      test.each(logins)('%s lets it in', async (_what, login) => {
        const targets = { vcenter: kv2({ path: 'users/{principal}/vcenter' }), billing: database({ role: 'billing' }) }
        const registry = open(vaultMapping({ ...connection(), login: await login(), principal: principal(), targets }))
        expect(await registry.check()).toEqual({ vault: undefined })
        expect(await stored(registry, 'bob')).toEqual(['bob@vsphere.local', secrets.BOB_PASSWORD])
        const session = await sessionOf('bob')
        const { value } = await registry.delegate('vault', session, { target: 'billing' })
        expect(await whoAmI(lab, value)).toBe(value.username)
        await registry.block(session)
        expect(await eventually(() => dynamicUsers(lab), isEmpty)).toEqual([])
      })

      test('its secrets may be stored for digests of identities', async () => {
        const { issuer } = lab.tokens
        const targets = { vcenter: kv2({ path: 'people/{identity}/vcenter' }) }
        const login = appRoleLogin({ roleId: roleId(), secretId: file('secret-id') })
        const mapping = { issuers: [{ issuer, principal: ({ subject }: Session) => subject }] }
        const registry = open(vaultMapping({ ...connection(), login, principal: mapping, targets }))
        const give = (subject: string) =>
          registry.delegate('vault', testSession({ issuer, subject }), { target: 'vcenter' })
        expect((await give('auth0|5f7c8ec7')).value.username).toBe('alice@vsphere.local')
        expect(await codeOf(give('auth0|5f7c8ec8'))).toBe('ERR_DELEGATION_NO_IDENTITY')
      })
    })

    const withoutNamespaces = findProgram()?.kind === 'vault' ? ['the program is Vault, of an unknown edition'] : []
    test.runIf(isAvailable('a server with namespaces', withoutNamespaces))(
      'has a namespace of its own for a team',
      async () => {
        await follow(steps.at(-1) as Step)
        const targets = { vcenter: kv2({ path: 'users/{principal}/vcenter' }) }
        const registry = open(
          vaultMapping({
            ...{ ...connection(), namespace: 'team-a', login: jwtLogin({ role: 'mcp' }) },
            ...{ principal: principal(), targets },
          }),
        )
        expect(await stored(registry, 'alice')).toEqual(['alice@team-a.local', secrets.TEAM_PASSWORD])
      },
    )

    test('rotates what is stored and what is static', async () => {
      const registry = asUser()
      const session = await sessionOf('alice')
      const leases = await Promise.all(
        (['vcenter', 'reports', 'directory'] as const).map((target) => registry.delegate('vault', session, { target })),
      )
      const before = leases.map(({ value }) => (value as PasswordCredential).password.reveal())
      await follow(steps[rotation] as Step)
      for (const lease of leases) {
        lease.invalidate()
        await lease[Symbol.asyncDispose]()
      }
      expect((await stored(registry, 'alice'))[1]).toBe(secrets.NEW_PASSWORD)
      const { value } = await registry.delegate('vault', session, { target: 'reports' })
      expect(await whoAmI(lab, value as PasswordCredential)).toBe('alice_reports')
      expect(before).not.toContain((value as PasswordCredential).password.reveal())
      const account = (await registry.delegate('vault', session, { target: 'directory' })).value as PasswordCredential
      const dn = `uid=${account.username},${lab.ldap.peopleBase}`
      expect(await lab.ldap.bind(dn, account.password.reveal())).toBe(true)
      expect(await lab.ldap.bind(dn, before[2] as string)).toBe(false)
    })

    test('says what callers get when something is taken away', async () => {
      const rows = [...PAGE.matchAll(/^\|[^|]*\| `(bao [^`]+)` \| (?:`(\w+)`|the old)/gm)]
      const seen: unknown[] = []
      const lease = await asUser().delegate('vault', await sessionOf('alice'), { target: 'billing' })
      for (const [, script = ''] of rows) {
        await follow({ line: 0, language: 'sh', script, prints: [] })
        seen.push(script.includes('bob') ? await codeOf(stored(asUser(), 'bob')) : undefined)
      }
      expect(seen).toEqual(['ERR_DELEGATION_DENIED', 'ERR_DELEGATION_NO_IDENTITY', undefined])
      expect(rows.map(([, , code]) => code)).toEqual(seen)
      const { username, password } = lease.value as PasswordCredential
      expect(await lab.postgresql.accepts({ username, password: password.reveal() })).toBe(false)
    })
  },
)

const isEmpty = (list: readonly unknown[]): boolean => list.length === 0

function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'served',
    ({ code }: { code?: unknown }) => code,
  )
}
