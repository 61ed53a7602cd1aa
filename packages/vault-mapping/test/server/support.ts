import {
  DelegationRegistry,
  type Logger,
  type ModuleMap,
  type PasswordCredential,
  type RegistryOptions,
  type Session,
} from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { memoryAudit } from '@mcp-delegation/core/testing'
import type { VaultLab } from '@mcp-delegation/labs/vault'
import { expect } from 'vitest'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
import type { VaultMappingOptions } from '../../src/options.ts'
import type { Source } from '../../src/sources/source.ts'

/** Sessions of real tokens, verified as a server does. */
export function sessionsOf(lab: Pick<VaultLab, 'tokens'>): (sub: string, claims?: object) => Promise<Session> {
  const verifier = oidcVerifier({ issuers: [{ issuer: lab.tokens.issuer }], audience: lab.tokens.audience })
  return async (sub, claims = {}) => verifier.verify(await lab.tokens.sign({ sub, ...claims }))
}

/** What every module of these tests is made with. */
export function optionsFor<const T extends Readonly<Record<string, Source<unknown>>>>(
  lab: Pick<VaultLab, 'address' | 'ca' | 'mounts' | 'tokens'>,
  targets: T,
  more: Partial<VaultMappingOptions<T>> = {},
): VaultMappingOptions<T> {
  return {
    address: lab.address,
    tls: { ca: lab.ca },
    login: jwtLogin({ role: 'user', mount: lab.mounts.jwt }),
    principal: { issuers: [{ issuer: lab.tokens.issuer, claim: 'sub' }] },
    targets,
    ...more,
  }
}

/** A registry with what it wrote to audit and to its log. */
export function registryOf<const M extends ModuleMap>(modules: M, options: Partial<RegistryOptions<M>> = {}) {
  const audit = memoryAudit()
  const lines: { level: string; fields: object; message: string }[] = []
  const to = (level: keyof Logger) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const log = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  const registry = new DelegationRegistry({ modules, audit, policy: 'backend-decides', log, ...options })
  return { registry, audit, lines }
}

/** Makes a dynamic role for each of `users`, which leases as `ttls` say. */
export async function givePersonalRoles(
  lab: VaultLab,
  users: readonly string[],
  ttls: { readonly default_ttl: string; readonly max_ttl: string },
): Promise<void> {
  const { body } = await lab.request('GET', `${lab.mounts.database}/roles/readonly`)
  const { data } = body as { data: Record<string, unknown> }
  const { db_name, creation_statements, revocation_statements } = data
  for (const name of users) {
    const role = { db_name, creation_statements, revocation_statements, ...ttls }
    const { status, body: answer } = await lab.request('POST', `${lab.mounts.database}/roles/${name}`, role)
    if (status >= 300) throw new Error(`the role ${name}: ${status} ${JSON.stringify(answer)}`)
  }
}

/** Asks PostgreSQL who it is that has logged in. */
export async function whoAmI(lab: VaultLab, { username, password }: PasswordCredential): Promise<string> {
  const client = await lab.postgresql.connect({ username, password: password.reveal() })
  try {
    const { rows } = await client.query('SELECT session_user AS name')
    return (rows[0] as { name: string }).name
  } finally {
    await client.end()
  }
}

/** The dynamic users that PostgreSQL has. */
export async function dynamicUsers(lab: VaultLab): Promise<readonly string[]> {
  const rows = await lab.postgresql.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
  return rows.map(({ rolname }) => String(rolname))
}

/** Asks again until the answer is right: the server revokes leases a moment after their token. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  patience = 10_000,
): Promise<T> {
  const end = performance.now() + patience
  for (;;) {
    const answer = await ask()
    if (isRight(answer) || performance.now() > end) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/**
 * The accessors of the tokens that can be used: a server that was stopped while it made or revoked one may list it without
 * its token, or keep it for no further use.
 */
export async function usableTokens(lab: VaultLab): Promise<readonly string[]> {
  const usable: string[] = []
  for (const accessor of await lab.accessors()) {
    const { status, body } = await lab.request('POST', 'auth/token/lookup-accessor', { accessor })
    if (status === 200 && (body as { data: { num_uses: number } }).data.num_uses >= 0) usable.push(accessor)
  }
  return usable
}

/**
 * Counts at the servers until nothing is left: no lease, no usable token, no database user.
 * @param before runs before each count.
 */
export async function expectNothingLeft(lab: VaultLab, before: () => Promise<unknown> = async () => {}): Promise<void> {
  const count = async (): Promise<object> => {
    await before()
    const [leases, tokens, users] = await Promise.all([lab.leases(), usableTokens(lab), dynamicUsers(lab)])
    return { leases: leases.length, tokens: tokens.length, users: users.length }
  }
  const nothing = { leases: 0, tokens: 0, users: 0 }
  const left = await eventually(count, (counted) => JSON.stringify(counted) === JSON.stringify(nothing), 30_000)
  // Else what one test has left would fail all that follow.
  for (const accessor of await usableTokens(lab)) await lab.request('POST', 'auth/token/revoke-accessor', { accessor })
  expect(left).toEqual(nothing)
}
