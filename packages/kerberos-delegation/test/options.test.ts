import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { checkOptions, type KerberosDelegationOptions } from '../src/options.ts'
import { keytabOf } from './keytab-of.ts'

const folder = mkdtempSync(join(tmpdir(), 'kerberos-options-'))
const keytabPath = join(folder, 'svc-mcp.keytab')
writeFileSync(keytabPath, keytabOf(['svc-mcp@CORP.EXAMPLE', 'HTTP/mcp.corp.example@CORP.EXAMPLE']), { mode: 0o600 })
chmodSync(keytabPath, 0o600)

afterAll(() => rmSync(folder, { recursive: true }))

const options: KerberosDelegationOptions = {
  realm: 'CORP.EXAMPLE',
  kdc: 'dc1.corp.example',
  serviceAccount: { username: 'svc-mcp', keytabPath },
  allowedDelegationTargets: ['HTTP/backend.corp.example', 'HTTP/*.apps.corp.example'],
  principal: { issuers: [{ issuer: 'https://idp.example', claim: 'sub' }] },
}

test('complete options are taken, with the defaults', () => {
  expect(checkOptions(options)).toMatchObject({
    servicePrincipal: 'svc-mcp@CORP.EXAMPLE',
    rules: { pac: 'required', deny: [], requireGroupSid: [] },
    maxTicketLifetime: 3_600_000,
    deadline: 3_000,
    mayExport: undefined,
  })
})

test('one group that is required may be given without a list, and SIDs are spelled in upper case', () => {
  const { rules } = checkOptions({
    ...options,
    requireGroupSid: 's-1-5-21-1-2-3-1104',
    deny: ['S-1-5-21-1-2-3-1105'],
  })
  expect(rules).toMatchObject({ requireGroupSid: ['S-1-5-21-1-2-3-1104'], deny: ['S-1-5-21-1-2-3-1105'] })
})

test('the SPN is what the account logs in as where the keytab has nothing else', () => {
  const checked = checkOptions({
    ...options,
    serviceAccount: { username: 'svc-other', keytabPath },
    servicePrincipalName: 'HTTP/mcp.corp.example',
  })
  expect(checked.servicePrincipal).toBe('HTTP/mcp.corp.example@CORP.EXAMPLE')
})

test('a target may be exported where it is allowed, also by a pattern', () => {
  const { mayExport } = checkOptions({ ...options, allowExport: ['HTTP/shop.apps.corp.example'] })
  expect(mayExport?.match('HTTP/shop.apps.corp.example')).toBe('HTTP/shop.apps.corp.example')
  expect(mayExport?.match('HTTP/backend.corp.example')).toBeUndefined()
})

const wrong: readonly (readonly [string, Record<string, unknown>])[] = [
  ['realm', { realm: undefined }],
  ['realm', { realm: 'corp.example' }],
  ['realm', { realm: 'CORP.EXAMPLE\n  kdc = evil' }],
  ['kdc', { kdc: undefined }],
  ['kdc', { kdc: [] }],
  ['kdc', { discovery: 'dns' }],
  ['kdc', { kdc: 'dc1.corp.example\n[realms]' }],
  ['kdc[1]', { kdc: ['dc1.corp.example', 'dc2.corp.example }'] }],
  ['discovery', { kdc: undefined, discovery: 'srv' }],
  ['realms.example.com', { realms: { 'example.com': 'OTHER.EXAMPLE' } }],
  ['servicePrincipalName', { servicePrincipalName: 'mcp.corp.example' }],
  ['servicePrincipalName', { servicePrincipalName: 'HTTP/mcp.corp.example@CORP.EXAMPLE' }],
  ['serviceAccount.username', { serviceAccount: undefined }],
  ['serviceAccount.username', { serviceAccount: { username: 'CORP\\svc-mcp', keytabPath } }],
  ['serviceAccount.keytabPath', { serviceAccount: { username: 'svc-mcp', keytabPath: 'svc-mcp.keytab' } }],
  ['serviceAccount.keytabPath', { serviceAccount: { username: 'svc-mcp', keytabPath: `${keytabPath}.missing` } }],
  ['serviceAccount.keytabPath', { serviceAccount: { username: 'svc-other', keytabPath } }],
  ['allowedDelegationTargets', { allowedDelegationTargets: undefined }],
  ['allowedDelegationTargets', { allowedDelegationTargets: [] }],
  ['allowedDelegationTargets', { allowedDelegationTargets: 'HTTP/backend.corp.example' }],
  ['allowedDelegationTargets[0]', { allowedDelegationTargets: ['*'] }],
  ['allowedDelegationTargets[1]', { allowedDelegationTargets: ['HTTP/a.corp.example', '*/b.corp.example'] }],
  ['principal.issuers', { principal: undefined }],
  ['principal.issuers[0].acceptMutableClaim', { principal: { issuers: [{ issuer: 'https://i', claim: 'email' }] } }],
  ['deny[0]', { deny: ['Domain Admins'] }],
  ['deny', { deny: 'S-1-5-21-1-2-3-4' }],
  ['deny', { deny: null }],
  ['requireGroupSid[0]', { requireGroupSid: 'intranet-users' }],
  ['requireGroupSid[0]', { requireGroupSid: '' }],
  ['requireGroupSid', { requireGroupSid: [] }],
  ['requireGroupSid', { requireGroupSid: null }],
  ['pac', { pac: 'optional' }],
  ['pac', { pac: false }],
  ['maxTicketLifetime', { maxTicketLifetime: 60_000 }],
  ['maxTicketLifetime', { maxTicketLifetime: '1h' }],
  ['deadline', { deadline: 0 }],
  ['deadline', { deadline: Number.NaN }],
  ['allowExport[0]', { allowExport: ['cifs/files.corp.example'] }],
  ['allowExport[0]', { allowExport: ['HTTP/*.apps.corp.example'] }],
  ['kdcServer', { kdcServer: 'dc1.corp.example' }],
  ['denied', { denied: ['S-1-5-21-1-2-3-4'] }],
]

test.each(wrong)('a wrong "%s" is named: %j', (name, change) => {
  const make = (): unknown => checkOptions({ ...options, ...change } as never)
  expect(make).toThrow(TypeError)
  expect(make).toThrow(`"${name}"`)
})

test('what are no options is refused', () => {
  for (const none of [undefined, null, 'CORP.EXAMPLE']) expect(() => checkOptions(none as never)).toThrow(TypeError)
})
