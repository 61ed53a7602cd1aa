import { describe, expect, test } from 'vitest'
import { checkOptions } from '../src/options.ts'
import { METADATA, RESOURCE, verifierOf, world } from './support.ts'

describe('checkOptions', () => {
  const check = (options: object) => checkOptions({ ...world().options, ...options })

  test('fills in the defaults', () => {
    const settings = check({ log: undefined, clock: undefined })
    expect(settings).toMatchObject({ resource: RESOURCE, baseScopes: [], stdio: undefined, maxBodySize: 4_194_304 })
    expect(settings.metadata.url).toBe(METADATA)
    expect(settings.clock.now()).toBeGreaterThan(1.7e12)
    for (const level of ['debug', 'info', 'warn', 'error'] as const) settings.log[level]({}, 'silent')
  })

  test('the authorization servers are the verifier’s issuers, or those that are given', () => {
    const serversOf = (options: object): unknown =>
      JSON.parse(check(options).metadata.answer('GET', new URL(METADATA).pathname)?.body ?? '').authorization_servers
    expect(serversOf({})).toEqual(['https://idp.example'])
    expect(serversOf({ authorizationServers: ['https://as.example/tenant'] })).toEqual(['https://as.example/tenant'])
  })

  test('the resource is published as it was spelled', () => {
    const spelled = (resource: string | URL): unknown =>
      JSON.parse(check({ resource }).metadata.answer('GET', '/.well-known/oauth-protected-resource')?.body ?? '')
        .resource
    expect(spelled('https://mcp.example')).toBe('https://mcp.example')
    expect(spelled(new URL('https://mcp.example/mcp'))).toBe('https://mcp.example/mcp')
  })

  test.each([
    ['options', null],
    ['resource', { resource: undefined }],
    ['resource', { resource: 'mcp' }],
    ['resource', { resource: 'http://mcp.example/mcp' }],
    ['resource', { resource: 'http://localhost.example/mcp' }],
    ['resource', { resource: 'ftp://mcp.example/mcp' }],
    ['resource', { resource: 'https://mcp.example/mcp?tenant=1' }],
    ['resource', { resource: 'https://mcp.example/mcp?' }],
    ['resource', { resource: 'https://mcp.example/mcp#x' }],
    ['resource', { resource: 'https://user:password@mcp.example/mcp' }],
    ['verifier', { verifier: {} }],
    ['verifier', { verifier: undefined }],
    ['registry', { registry: { delegate: () => {} } }],
    ['requiredScopes', { requiredScopes: 'mcp' }],
    ['requiredScopes', { requiredScopes: ['offline_access'] }],
    ['scopeHierarchy', { scopeHierarchy: { a: 'b' } }],
    ['authorizationServers', { authorizationServers: [] }],
    ['authorizationServers', { authorizationServers: ['http://idp.example'] }],
    ['authorizationServers', { verifier: { ...verifierOf({}), issuers: [] } }],
    ['allowedOrigins', { allowedOrigins: ['*'] }],
    ['auditedArguments', { auditedArguments: { stock: 'item' } }],
    ['auditedArguments', { auditedArguments: [] }],
    ['stdio', { stdio: {} }],
    ['maxBodySize', { maxBodySize: 0 }],
    ['maxBodySize', { maxBodySize: '1mb' }],
    ['log', { log: { warn: () => {} } }],
    ['clock', { clock: {} }],
  ])('refuses a wrong "%s" by name: %j', (option, options) => {
    const whole = options === null ? null : { ...world().options, ...options }
    expect(() => checkOptions(whole as never)).toThrow(new RegExp(`^"${option}(?:\\.\\w+)?" must `))
  })

  test.each(['http://127.0.0.1:8080/mcp', 'http://localhost/mcp', 'http://[::1]:1/mcp'])(
    'allows http on this machine: %s',
    (resource) => {
      expect(check({ resource }).resource).toBe(resource)
    },
  )

  test('a list that changes later changes nothing', () => {
    const requiredScopes = ['mcp']
    const auditedArguments = { stock: ['item'] }
    const settings = check({ requiredScopes, auditedArguments })
    requiredScopes.push('admin')
    auditedArguments.stock.push('password')
    expect(settings.baseScopes).toEqual(['mcp'])
    expect(settings.auditedArguments.get('stock')).toEqual(['item'])
  })
})
