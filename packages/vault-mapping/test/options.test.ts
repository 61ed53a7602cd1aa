import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { jwtLogin } from '../src/logins/jwt-login.ts'
import { checkOptions, type VaultMappingOptions } from '../src/options.ts'
import { database } from '../src/sources/database.ts'
import { databaseStatic } from '../src/sources/database-static.ts'
import { pki } from '../src/sources/pki.ts'
import type { Source } from '../src/sources/source.ts'
import { ssh } from '../src/sources/ssh.ts'

const source: Source<string> = {
  type: 'test',
  leased: false,
  claims: [],
  obtain: () => Promise.reject(new Error('unused')),
}
const good: VaultMappingOptions = {
  address: 'https://vault.example.com:8200',
  login: jwtLogin({ role: 'mcp' }),
  principal: { issuers: [{ issuer: 'https://idp.example.com', claim: 'sub' }] },
  targets: { billing: source },
}
const folder = mkdtempSync(join(tmpdir(), 'vault-options-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('what is left out has its default', () => {
  expect(checkOptions(good)).toMatchObject({
    addresses: ['https://vault.example.com:8200'],
    namespace: undefined,
    ca: undefined,
    timeout: 5_000,
    tries: 3,
    connections: 16,
    maxQueued: 10_000,
    maxTokens: 10_000,
    reuse: 'user',
    maxTokenIdle: 60_000,
    deadline: undefined,
    maxAge: undefined,
  })
})

test.each<[Record<string, unknown>, RegExp]>([
  [{ address: undefined }, /^"address" must be such as/],
  [{ address: [] }, /^"address" must be an address/],
  [{ address: 'vault.example.com' }, /^"address"/],
  [{ address: 'https://user:password@vault.example.com' }, /^"address"/],
  [{ address: 'https://vault.example.com/v1' }, /^"address" must be without a path/],
  [{ address: 'https://vault.example.com/?a' }, /^"address" must be without a path/],
  [{ address: 'ftp://vault.example.com' }, /^"address"/],
  [{ address: 'http://vault.example.com:8200' }, /^"address" must be https/],
  [{ address: 'http://127.0.0.1.example.com:8200' }, /^"address" must be https/],
  [{ address: ['https://a', 'https://a:443'] }, /^"address" must not repeat/],
  [{ namespace: '' }, /^"namespace"/],
  [{ namespace: '../root' }, /^"namespace"/],
  [{ namespace: 'a b' }, /^"namespace"/],
  [{ namespace: 'a//b' }, /^"namespace"/],
  [{ namespace: 'a/..' }, /^"namespace"/],
  [{ namespace: 'a..b' }, /^"namespace"/],
  [{ namespace: 'a+b' }, /^"namespace"/],
  [{ tls: null }, /^"tls" takes an object/],
  [{ tls: { rejectUnauthorized: false } }, /^"rejectUnauthorized" is not an option of tls/],
  [{ tls: { ca: 'certificate' } }, /^"tls.ca"/],
  [{ tls: { ca: 1 } }, /^"tls.ca"/],
  [{ tls: { ca: '/nowhere/ca.pem' } }, /^"tls.ca": \/nowhere\/ca.pem can't be read/],
  [{ tls: { serverName: 'a b' } }, /^"tls.serverName"/],
  [{ login: undefined }, /^"login"/],
  [{ login: { role: 'mcp' } }, /^"login"/],
  [{ principal: undefined }, /^"principal.issuers" must be a list/],
  [{ principal: { issuers: [{ issuer: 'x', claim: 'email' }] } }, /^"principal.issuers\[0\].acceptMutableClaim"/],
  [{ principal: { ...good.principal, link: [] } }, /^"link" is not an option of principal/],
  [{ principal: { ...good.principal, case: 'insensitive' } }, /^"case" is not an option of principal/],
  [{ targets: undefined }, /^"targets"/],
  [{ targets: {} }, /^"targets" must not be empty/],
  [{ targets: { 'a b': source } }, /^"targets" must have names/],
  [{ targets: { billing: {} } }, /^"targets.billing"/],
  [{ timeout: 0 }, /^"timeout" must be a whole number from 100 to 60000/],
  [{ timeout: Number.NaN }, /^"timeout"/],
  [{ timeout: '5000' }, /^"timeout"/],
  [{ tries: 0 }, /^"tries"/],
  [{ tries: 1.5 }, /^"tries"/],
  [{ connections: 0 }, /^"connections"/],
  [{ maxQueued: -1 }, /^"maxQueued"/],
  [{ deadline: 2 ** 31 }, /^"deadline"/],
  [{ maxAge: 0 }, /^"maxAge"/],
  [{ reuse: 'never' }, /^"reuse" must be 'user' or 'token'/],
  [{ maxTokens: 0 }, /^"maxTokens"/],
  [{ maxTokenIdle: 0 }, /^"maxTokenIdle"/],
  [{ tiemout: 5_000 }, /^"tiemout" is not an option of vaultMapping/],
])('%j is a TypeError that names the option', (wrong, message) => {
  const check = (): unknown => checkOptions({ ...good, ...wrong } as VaultMappingOptions)
  expect(check).toThrow(TypeError)
  expect(check).toThrow(message)
})

test('targets that could give one role or path to two users are a TypeError that names both', () => {
  const roles = (one: string, other: string) => () =>
    checkOptions({ ...good, targets: { billing: database({ role: one }), admin: database({ role: other }) } })
  expect(roles('{principal}', '{principal}-admin')).toThrow(/^"targets.billing" and "targets.admin" could give/)
  expect(roles('{principal}', 'admin')).toThrow(TypeError)
  expect(roles('{principal}-billing', '{principal}-admin')).not.toThrow()
  const targets = { billing: database({ role: '{principal}' }), admin: databaseStatic({ role: '{principal}-admin' }) }
  expect(() => checkOptions({ ...good, targets })).not.toThrow()
  const principals = ssh({ role: 'users', principals: ['{principal}', '{principal}-admin'] })
  expect(() => checkOptions({ ...good, targets: { hosts: principals } })).toThrow(
    /^"targets.hosts" and "targets.hosts"/,
  )
})

test('names in certificates that could be those of two users are a TypeError', () => {
  const names = (more: object) => () =>
    checkOptions({ ...good, targets: { api: pki({ role: 'users', commonName: '{principal}', ...more }) } })
  expect(names({ altNames: ['{principal}@a.example', 'admin-{principal}@a.example'] })).toThrow(/^"targets.api" and/)
  expect(names({ uriSans: ['spiffe://a.example/{principal}', 'spiffe://a.example/{principal}-admin'] })).toThrow(
    TypeError,
  )
  expect(names({ altNames: ['{principal}@a.example', '{principal}.a.example'] })).not.toThrow()
})

test.each([undefined, null, 'options'])('%j in place of options is a TypeError', (options) => {
  expect(() => checkOptions(options as never)).toThrow(TypeError)
})

test.each(['http://127.0.0.1:8200', 'http://localhost:8200', 'http://[::1]:8200', 'https://vault.example.com/'])(
  '%s is an address',
  (address) => {
    expect(checkOptions({ ...good, address }).addresses).toHaveLength(1)
  },
)

test('the authorities are PEM, or the path of a file with PEM', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
  const path = join(folder, 'ca.pem')
  writeFileSync(path, pem)
  expect(checkOptions({ ...good, tls: { ca: pem } }).ca).toBe(pem)
  expect(checkOptions({ ...good, tls: { ca: path } }).ca).toBe(pem)
  writeFileSync(path, 'nothing')
  expect(() => checkOptions({ ...good, tls: { ca: path } })).toThrow(/^"tls.ca" must be PEM/)
})

test('a namespace may be named after a domain', () => {
  expect(checkOptions({ ...good, namespace: 'corp.example/team@eu' }).namespace).toBe('corp.example/team@eu')
})

test('a slash at the end of a namespace is dropped', () => {
  expect(checkOptions({ ...good, namespace: 'team-a/apps/' }).namespace).toBe('team-a/apps')
})
