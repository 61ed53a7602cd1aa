import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type IdentityProvider, startIdentityProvider } from './fixtures/identity-provider.ts'
import { CLIENTS, callAs } from './fixtures/mcp-clients.ts'
import { onFastMcp, onSdkV1, onSdkV2, startServer } from './fixtures/mcp-servers.ts'

const SCOPES = ['mcp', 'items:delete', 'admin']
const SERVERS = { 'SDK v2': onSdkV2, 'SDK v1': onSdkV1, fastmcp: onFastMcp } as const
const PAIRS = (Object.keys(SERVERS) as (keyof typeof SERVERS)[]).flatMap((server) =>
  (Object.keys(CLIENTS) as (keyof typeof CLIENTS)[]).map((client) => ({ server, client })),
)

let idp: IdentityProvider
beforeAll(async () => {
  idp = await startIdentityProvider({
    accounts: { alice: { groups: ['staff'] }, bob: {} },
    resources: { 'https://scopes.example': { scopes: SCOPES } },
  })
})
afterAll(() => idp.stop())

const start = (server: keyof typeof SERVERS, requiredScopes: readonly string[] = ['mcp']) =>
  startServer(SERVERS[server], { idp, scopes: SCOPES, protect: { requiredScopes } })

describe.each(PAIRS)('a server on $server and a client on $client', ({ server, client }) => {
  test('log each user in from a challenge, and each is seen as themselves', async () => {
    await using served = await start(server)
    await using alice = await callAs(client, served.url, idp, 'alice')
    await using bob = await callAs(client, served.url, idp, 'bob')
    expect(await alice.toolNames()).toEqual(['whoami', 'erase'])
    const answers = await Promise.all([alice, bob, alice, bob].map((caller) => caller.call('whoami')))
    expect(answers.map(({ content }) => content[0]?.text)).toEqual([
      'alice as alice',
      'bob as bob',
      'alice as alice',
      'bob as bob',
    ])
    expect(alice.logins).toEqual(['mcp'])
    expect(served.tools).toHaveLength(4)
    expect(new Set(served.tools.map(({ subject, groups }) => `${subject} ${groups}`))).toEqual(
      new Set(['alice staff', 'bob ']),
    )
    expect(served.records.filter(({ event }) => event === 'authentication')).toEqual([])
    expect(served.registry.stats().names).toMatchObject({ leases: 0, misses: 2 })
  })

  test('refuse a user from the moment of the block, also with a new login, and nobody else', async () => {
    await using served = await start(server)
    await using alice = await callAs(client, served.url, idp, 'alice')
    await using bob = await callAs(client, served.url, idp, 'bob')
    await alice.call('whoami')
    await served.registry.block({ issuer: idp.issuer, subject: 'alice' })
    await expect(alice.call('whoami')).rejects.toThrow(/403|access_denied/)
    await expect(callAs(client, served.url, idp, 'alice')).rejects.toThrow(/403|access_denied/)
    expect(alice.logins).toHaveLength(1)
    expect((await bob.call('whoami')).content[0]?.text).toBe('bob as bob')
    expect(served.records.filter(({ event }) => event === 'authentication')).toContainEqual(
      expect.objectContaining({ subject: 'alice', code: 'ERR_SESSION_BLOCKED' }),
    )
    await served.registry.unblock({ issuer: idp.issuer, subject: 'alice' })
    expect((await alice.call('whoami')).content[0]?.text).toBe('alice as alice')
  })
})

const STEPPING = PAIRS.filter(({ server }) => server !== 'fastmcp')

describe.each(STEPPING)('stepping up: a server on $server and a client on $client', ({ server, client }) => {
  test('one challenge names the base scopes and the tool’s, and the new token has both', async () => {
    await using served = await start(server)
    await using alice = await callAs(client, served.url, idp, 'alice')
    expect((await alice.call('erase', { item: 'bolt' })).content[0]?.text).toBe('alice erased bolt')
    expect(alice.logins).toHaveLength(2)
    expect(new Set(alice.logins[1]?.split(' '))).toEqual(new Set(['mcp', 'items:delete']))
    expect((await alice.call('whoami')).content[0]?.text).toBe('alice as alice')
    expect(alice.logins).toHaveLength(2)
    expect(served.tools).toMatchObject([
      { tool: 'erase', outcome: 'denied', code: 'ERR_SESSION_SCOPE', subject: 'alice' },
      { tool: 'erase', outcome: 'ok' },
      { tool: 'whoami', outcome: 'ok' },
    ])
  })
})

test('stepping up on fastmcp is a tool error that names the scopes', async () => {
  await using served = await start('fastmcp')
  await using alice = await callAs('SDK v2 on 2025-11-25', served.url, idp, 'alice')
  expect(await alice.call('erase', { item: 'bolt' })).toMatchObject({
    isError: true,
    _meta: { 'mcp-delegation/code': 'ERR_SESSION_SCOPE', 'mcp-delegation/scopes': ['mcp', 'items:delete'] },
  })
})
