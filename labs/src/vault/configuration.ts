import { readFileSync } from 'node:fs'
import type { TokenIssuer } from '../token-issuer/index.ts'
import { AUTH_METHODS, ENGINES, type Mounts, nameOf, serverPolicy, userPolicy } from './mounts.ts'
import { type Ask, must } from './requests.ts'

/** What the lab's logins and roles are made of. */
export interface Configuration {
  readonly mounts: Mounts
  readonly policies: Policies
  readonly tokens: TokenIssuer
  /** Of the tokens that logins give, in seconds. */
  readonly tokenTtl: number
  readonly tokenMaxTtl: number
  /** The PEM file of the authority that certifies clients. */
  readonly clientCa: string
}

/** The names of the lab's policies. */
export interface Policies {
  /** Of those who log in as themselves: what is theirs. */
  readonly user: string
  /** Of a server that logs in as itself: what is any user's. */
  readonly server: string
}

/** Mounts and configures what needs no other server. Returns the accessor of the JWT mount. */
export async function configure(ask: Ask, configuration: Configuration): Promise<string> {
  const { mounts, policies, tokens, tokenTtl, tokenMaxTtl, clientCa } = configuration
  const write = (path: string, body: unknown): Promise<unknown> => must(ask, 'POST', path, body)
  await Promise.all([
    ...Object.entries(AUTH_METHODS).map(([name, type]) => write(`sys/auth/${mounts[name as keyof Mounts]}`, { type })),
    ...Object.entries(ENGINES).map(([name, body]) => write(`sys/mounts/${mounts[name as keyof Mounts]}`, body)),
  ])
  const { accessor } = (await must(ask, 'GET', `sys/auth/${mounts.jwt}`)) as { accessor: string }
  const ttls = { token_ttl: tokenTtl, token_max_ttl: tokenMaxTtl }
  await Promise.all([
    write(`sys/policies/acl/${policies.user}`, { policy: userPolicy(mounts, accessor) }),
    write(`sys/policies/acl/${policies.server}`, { policy: serverPolicy(mounts) }),
    write(`auth/${mounts.jwt}/config`, { jwks_url: tokens.jwksUri, bound_issuer: tokens.issuer }),
    write(`auth/${mounts.jwt}/role/user`, {
      role_type: 'jwt',
      user_claim: 'sub',
      groups_claim: 'groups',
      bound_audiences: [tokens.audience],
      token_policies: [policies.user],
      ...ttls,
    }),
    write(`auth/${mounts.appRole}/role/server`, { token_policies: [policies.server], ...ttls }),
    write(`auth/${mounts.cert}/certs/server`, {
      certificate: readFileSync(clientCa, 'utf8'),
      token_policies: [policies.server],
      ...ttls,
    }),
    configureSsh(ask, mounts, nameOf(accessor)),
    configurePki(ask, mounts, nameOf(accessor)),
  ])
  return accessor
}

async function configureSsh(ask: Ask, { ssh }: Mounts, name: string): Promise<void> {
  await must(ask, 'POST', `${ssh}/config/ca`, { generate_signing_key: true, key_type: 'ssh-ed25519' })
  const common = {
    key_type: 'ca',
    allow_user_certificates: true,
    default_extensions: { 'permit-pty': '' },
    ttl: '5m',
    max_ttl: '30m',
  }
  await must(ask, 'POST', `${ssh}/roles/user`, { ...common, allowed_users: name, allowed_users_template: true })
  await must(ask, 'POST', `${ssh}/roles/server`, { ...common, allowed_users: '*' })
}

async function configurePki(ask: Ask, { pki }: Mounts, name: string): Promise<void> {
  await must(ask, 'POST', `${pki}/root/generate/internal`, { common_name: 'lab', key_type: 'ec', ttl: '48h' })
  const common = { key_type: 'ec', client_flag: true, server_flag: false, ttl: '5m', max_ttl: '30m', no_store: false }
  await must(ask, 'POST', `${pki}/roles/user`, {
    ...common,
    allowed_domains: [name],
    allowed_domains_template: true,
    allow_bare_domains: true,
    enforce_hostnames: false,
  })
  await must(ask, 'POST', `${pki}/roles/server`, { ...common, allow_any_name: true, enforce_hostnames: false })
}

/** Removes what {@link configure} mounted, what is in it, and who logged in there. */
export async function unconfigure(
  ask: Ask,
  { mounts, policies }: Pick<Configuration, 'mounts' | 'policies'>,
): Promise<void> {
  const methods = Object.keys(AUTH_METHODS).map((name) => mounts[name as keyof Mounts])
  const accessors = await Promise.all(methods.map(async (path) => accessorOf(await ask('GET', `sys/auth/${path}`))))
  const aliases = (await ask('GET', 'identity/entity-alias/id?list=true')).body as Aliases
  const ours = Object.values(aliases.data?.key_info ?? {}).filter((alias) => accessors.includes(alias.mount_accessor))
  await Promise.all([
    ...Object.keys(ENGINES).map((name) => must(ask, 'DELETE', `sys/mounts/${mounts[name as keyof Mounts]}`)),
    ...methods.map((path) => must(ask, 'DELETE', `sys/auth/${path}`)),
    ...Object.values(policies).map((name) => must(ask, 'DELETE', `sys/policies/acl/${name}`)),
    ...ours.map((alias) => must(ask, 'DELETE', `identity/entity/id/${alias.canonical_id}`)),
  ])
}

interface Aliases {
  readonly data?: { readonly key_info?: Readonly<Record<string, { canonical_id: string; mount_accessor: string }>> }
}

function accessorOf({ body }: { readonly body: unknown }): string | undefined {
  return (body as { accessor?: string }).accessor
}
