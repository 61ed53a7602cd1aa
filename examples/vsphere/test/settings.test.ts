import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readSettings, SettingsError } from '../src/settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'vsphere-settings-'))
afterAll(() => rmSync(folder, { recursive: true }))
const pem = join(folder, 'ca.pem')
writeFileSync(pem, 'PEM')

const LEAST = {
  MCP_URL: 'https://vsphere-mcp.example.com/mcp',
  OIDC_ISSUER: 'https://idp.example.com',
  VCENTER_URL: 'https://vcenter.example.com',
  VAULT_ADDR: 'https://vault.example.com:8200',
  AUDIT_FILE: '/var/log/vsphere-mcp/audit.jsonl',
}

/** What an environment is refused with. */
function refusal(changes: Readonly<Record<string, string | undefined>>): string {
  try {
    readSettings({ ...LEAST, ...changes })
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError)
    return (error as Error).message
  }
  return 'accepted'
}

test('the least that must be set is enough, and has defaults', () => {
  const settings = readSettings({ ...LEAST, PATH: '/usr/bin', VAULT_TOKEN: 'of somebody else' })
  expect(settings).toMatchObject({
    resource: new URL(LEAST.MCP_URL),
    listen: { host: '127.0.0.1', port: 8080 },
    scope: undefined,
    callsPerMinute: 120,
    logLevel: 'warn',
    oidc: { profile: 'rfc9068', audience: LEAST.MCP_URL, groupsClaim: undefined },
    vcenter: { url: 'https://vcenter.example.com/', ca: undefined, sessionMaxAge: 1_200_000, maxSessions: 500 },
    accounts: {},
    vault: {
      address: 'https://vault.example.com:8200',
      login: { mount: 'jwt', role: 'vsphere-mcp' },
      kv: { mount: 'secret', path: 'users/{principal}/vcenter' },
      claim: 'sub',
    },
    audit: { file: LEAST.AUDIT_FILE, seal: undefined },
  })
  expect(settings.groups).toEqual({
    'vsphere-readers': 'READ_ONLY',
    'vsphere-operators': 'POWER_OPS',
    'vsphere-admins': 'VM_LIFECYCLE',
    'vsphere-host-admins': 'HOST_ADMIN',
    'vsphere-super-admins': 'FULL_ADMIN',
  })
})

test('everything can be set', () => {
  const settings = readSettings({
    ...LEAST,
    VAULT_ADDR: '',
    MCP_LISTEN: '[::]:9090',
    MCP_SCOPE: 'vsphere',
    MCP_ALLOWED_ORIGINS: 'https://a.example, https://b.example',
    MCP_CALLS_PER_MINUTE: '7',
    MCP_LOG_LEVEL: 'debug',
    OIDC_PROFILE: 'entra',
    OIDC_AUDIENCE: 'api://vsphere',
    OIDC_GROUPS_CLAIM: 'roles',
    GROUPS_FULL_ADMIN: 'ops-root, 7f9c0a4e-0000-4000-8000-000000000000',
    VCENTER_CA_FILE: pem,
    VCENTER_SESSION_MINUTES: '5',
    VCENTER_MAX_SESSIONS: '9',
    VCENTER_USER_READ_ONLY: 'svc-read@vsphere.local',
    VCENTER_PASSWORD_FILE_READ_ONLY: '/run/secrets/read',
    AUDIT_KEY_FILE: '/run/secrets/audit',
    AUDIT_CHECKPOINT_FILE: '/mnt/elsewhere/checkpoints.jws',
  })
  expect(settings).toMatchObject({
    listen: { host: '::', port: 9090 },
    scope: 'vsphere',
    allowedOrigins: ['https://a.example', 'https://b.example'],
    callsPerMinute: 7,
    logLevel: 'debug',
    oidc: { profile: 'entra', audience: 'api://vsphere', groupsClaim: 'roles' },
    vcenter: { ca: 'PEM', sessionMaxAge: 300_000, maxSessions: 9 },
    accounts: { READ_ONLY: { username: 'svc-read@vsphere.local', password: { file: '/run/secrets/read' } } },
    vault: undefined,
    audit: { seal: { key: { file: '/run/secrets/audit' }, checkpoints: '/mnt/elsewhere/checkpoints.jws' } },
  })
  expect(settings.groups).toMatchObject({
    'vsphere-readers': 'READ_ONLY',
    'ops-root': 'FULL_ADMIN',
    '7f9c0a4e-0000-4000-8000-000000000000': 'FULL_ADMIN',
  })
  expect(settings.groups).not.toHaveProperty('vsphere-super-admins')
})

describe('what is wrong is said in one line, which names the variable', () => {
  const cases: readonly (readonly [Readonly<Record<string, string | undefined>>, string])[] = [
    [{ MCP_URL: undefined }, 'MCP_URL must be set'],
    [{ MCP_URL: ' ' }, 'MCP_URL must be set'],
    [{ MCP_URL: 'vsphere-mcp' }, 'MCP_URL must be a URL without a user'],
    [{ OIDC_ISSUER: undefined }, 'OIDC_ISSUER must be set'],
    [{ VCENTER_URL: 'https://admin:secret@vcenter' }, 'VCENTER_URL must be a URL without a user'],
    [{ MCP_LISTEN: '8080' }, 'MCP_LISTEN must be host:port'],
    [{ MCP_LISTEN: '0.0.0.0:99999' }, 'MCP_LISTEN must be host:port'],
    [{ MCP_CALLS_PER_MINUTE: '1e3' }, 'MCP_CALLS_PER_MINUTE must be a whole number from 1 to 1000000'],
    [{ VCENTER_SESSION_MINUTES: '0' }, 'VCENTER_SESSION_MINUTES must be a whole number from 1 to 1440'],
    [{ OIDC_PROFILE: 'adfs' }, 'OIDC_PROFILE must be one of rfc9068, keycloak, entra, auth0, okta, authentik'],
    [{ MCP_LOG_LEVEL: 'DEBUG' }, 'MCP_LOG_LEVEL must be debug or warn'],
    [{ MCP_LISTN: '127.0.0.1:80' }, 'MCP_LISTN is no setting of this server'],
    [{ VAULT_KV_PAHT: 'users' }, 'VAULT_KV_PAHT is no setting of this server'],
    [{ VAULT_CLAIM: 'email' }, 'VAULT_CLAIM must be one of sub, oid'],
    [{ AUDIT_FILE: undefined }, 'AUDIT_FILE must be set'],
    [{ AUDIT_FILE: 'audit.jsonl' }, 'AUDIT_FILE must be an absolute path'],
    [{ AUDIT_KEY_FILE: '/k' }, 'AUDIT_CHECKPOINT_FILE must be set, as AUDIT_KEY_FILE is'],
    [
      { AUDIT_KEY_FILE: '/k', AUDIT_CHECKPOINT_FILE: LEAST.AUDIT_FILE },
      'AUDIT_CHECKPOINT_FILE must be another file than AUDIT_FILE',
    ],
    [{ AUDIT_CHECKPOINT_FILE: '/c' }, 'AUDIT_KEY_FILE must be set, as AUDIT_CHECKPOINT_FILE is'],
    [{ VCENTER_USER_POWER_OPS: 'svc' }, 'VCENTER_PASSWORD_FILE_POWER_OPS must be set, as its user is'],
    [{ VCENTER_PASSWORD_FILE_POWER_OPS: '/p' }, 'VCENTER_USER_POWER_OPS must be set, as its password file is'],
    [{ VAULT_CACERT: '/nowhere/ca.pem' }, 'VAULT_CACERT must be a file that can be read'],
    [{ VAULT_CACERT: '/' }, 'VAULT_CACERT must be a file that can be read'],
    [{ VCENTER_CA_FILE: '/' }, 'VCENTER_CA_FILE must be a file that can be read'],
    [{ VCENTER_CA_FILE: '/nowhere/ca.pem' }, 'VCENTER_CA_FILE must be a file that can be read'],
    [
      { VAULT_ADDR: undefined },
      'VAULT_ADDR or VCENTER_USER_<LEVEL> must be set: nobody would have an account at vCenter',
    ],
    [
      { GROUPS_READ_ONLY: 'staff', GROUPS_FULL_ADMIN: 'staff' },
      'GROUPS_FULL_ADMIN names a group that grants READ_ONLY already',
    ],
    [{ VCENTER_PASSWORD: 'hunter2' }, 'VCENTER_PASSWORD is no setting of this server'],
    [{ GROUPS_ADMIN: 'staff' }, 'GROUPS_ADMIN is no setting of this server'],
    [{ MCP_SCOPES: 'vsphere' }, 'MCP_SCOPES is no setting of this server'],
    [{ GROUPS_FULL_ADMIN: ',' }, 'GROUPS_FULL_ADMIN must be names with commas between them'],
  ]
  test.each(cases)('%j', (changes, line) => {
    expect(refusal(changes)).toBe(line)
  })
})
