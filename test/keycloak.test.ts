import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isDelegationError, type Session } from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { isAvailable, type Keycloak, keycloak, missing } from '@mcp-delegation/labs/keycloak'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// The page's own commands set up the realm; the rest is what they take for granted: people in groups.

const AUDIENCE = 'https://mcp.example.com/mcp'
const REDIRECT = 'http://127.0.0.1:33418/callback'
const PASSWORD = randomBytes(12).toString('hex')
const PEOPLE = {
  realm: 'staff',
  enabled: true,
  groups: [{ name: 'staff', subGroups: [{ name: 'finance' }] }, { name: 'auditors' }],
  users: [
    {
      username: 'alice',
      enabled: true,
      ...{ email: 'alice@corp.example', firstName: 'Alice', lastName: 'Example' },
      groups: ['/staff/finance', '/auditors'],
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    },
  ],
}

interface Tokens {
  readonly access_token: string
  readonly id_token: string
  readonly refresh_token: string
}

/** The commands for Keycloak that the page shows. */
function recipe(): string {
  const page = readFileSync(new URL('../docs/identity-providers.md', import.meta.url), 'utf8')
  const [, section = ''] = /^## Keycloak\n(.*?)^## /ms.exec(page) ?? []
  return [...section.matchAll(/^```sh\n(.*?)^```\n/gms)].map(([, script]) => script).join('')
}

describe.runIf(isAvailable('Keycloak', missing()))('a real Keycloak, set up as the page says', () => {
  let server: Keycloak
  let secret: string
  const issuer = (): string => `${server.origin}/realms/staff`
  const verify = (token: string): Promise<Session> =>
    oidcVerifier({ issuers: [{ issuer: issuer(), profile: 'keycloak' }], audience: AUDIENCE }).verify(token)

  beforeAll(async () => {
    server = await keycloak()
    const printed = await server.shell(`kcadm.sh create realms -f - <<'PEOPLE'
${JSON.stringify(PEOPLE)}
PEOPLE
${recipe()}`)
    secret = printed.trim()
  }, 180_000)
  afterAll(() => server?.dispose())

  const tokens = async (form: Readonly<Record<string, string>>): Promise<Tokens> => {
    const body = new URLSearchParams(form)
    const response = await fetch(`${issuer()}/protocol/openid-connect/token`, { method: 'POST', body })
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return (await response.json()) as Tokens
  }

  /** Logs alice in with the authorization code flow, as a browser would, with a redirect to a port of this machine. */
  const login = async (): Promise<Tokens> => {
    const verifier = randomBytes(32).toString('base64url')
    const client = { client_id: 'mcp-client', redirect_uri: REDIRECT }
    const query = new URLSearchParams({
      ...client,
      response_type: 'code',
      scope: 'openid',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      resource: AUDIENCE,
    })
    const page = await fetch(`${issuer()}/protocol/openid-connect/auth?${query}`, { redirect: 'manual' })
    const action = /<form[^>]* action="([^"]+)"/.exec(await page.text())?.[1]?.replaceAll('&amp;', '&')
    if (action === undefined) throw new Error(`there is no form to log in with (${page.status})`)
    const cookie = page.headers
      .getSetCookie()
      .map((one) => one.split(';')[0])
      .join('; ')
    const body = new URLSearchParams({ username: 'alice', password: PASSWORD })
    const answer = await fetch(action, { method: 'POST', body, headers: { cookie }, redirect: 'manual' })
    const back = new URL(answer.headers.get('location') ?? '', issuer())
    expect(`${back.origin}${back.pathname}`).toBe(REDIRECT)
    const code = back.searchParams.get('code') ?? ''
    return tokens({ grant_type: 'authorization_code', code, code_verifier: verifier, ...client })
  }

  test('gives a person a session with their groups, and a change of groups to the next token', async () => {
    const first = await login()
    const session = await verify(first.access_token)
    expect(session).toMatchObject({ issuer: issuer(), clientId: 'mcp-client', kind: 'user', displayName: 'alice' })
    expect([...session.groups].sort()).toEqual(['/auditors', '/staff/finance'])
    expect(session.groupsComplete).toBe(true)
    expect([...session.scopes]).toContain('openid')

    await server.shell(`
group=$(kcadm.sh get group-by-path/auditors -r staff --fields id --format csv --noquotes)
kcadm.sh delete "users/${session.subject}/groups/$group" -r staff`)
    const refreshed = await tokens({
      grant_type: 'refresh_token',
      client_id: 'mcp-client',
      refresh_token: first.refresh_token,
    })
    const next = await verify(refreshed.access_token)
    expect([...next.groups]).toEqual(['/staff/finance'])
    expect(next.subject).toBe(session.subject)
    expect([...(await verify(first.access_token)).groups].sort()).toEqual(['/auditors', '/staff/finance'])
  }, 60_000)

  test('gives a service account the session of a machine', async () => {
    const { access_token } = await tokens({
      grant_type: 'client_credentials',
      client_id: 'reports',
      client_secret: secret,
    })
    const session = await verify(access_token)
    expect(session).toMatchObject({ kind: 'machine', clientId: 'reports', displayName: 'service-account-reports' })
    expect(session.groups.size).toBe(0)
  })

  test('has ID tokens, refresh tokens and tokens for others refused', async () => {
    const { access_token, id_token, refresh_token } = await login()
    const other = oidcVerifier({ issuers: [{ issuer: issuer(), profile: 'keycloak' }], audience: 'mcp-client' })
    const reasonOf = async (verifying: Promise<Session>): Promise<string> => {
      const error: unknown = await verifying.catch((reason: unknown) => reason)
      if (!isDelegationError(error) || error.code !== 'ERR_SESSION_INVALID') throw error
      return error.cause instanceof Error ? error.cause.message : ''
    }
    expect(await reasonOf(other.verify(id_token))).toContain('"typ" is not as')
    expect(await reasonOf(verify(id_token))).toContain('"typ" is not as')
    expect(await reasonOf(verify(refresh_token))).toContain('"alg"')
    expect(await reasonOf(other.verify(access_token))).toContain('"aud"')
  })
})
