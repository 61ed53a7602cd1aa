import type { VaultLab } from '@mcp-delegation/labs/vault'

export interface ConfigurationOptions {
  /** Who issues the tokens that callers log in with. */
  readonly issuer: string
  /** Whom those tokens must be for: the URL of the MCP server. */
  readonly audience: string
  /** The names of those who get a role in the database engine. */
  readonly salespeople: readonly string[]
}

/** A role of Vault's JWT auth method. */
export interface VaultLogin {
  readonly mount: string
  readonly role: string
}

/**
 * What an administrator of Vault does once: has it trust the identity provider, says what callers may have, and makes a role
 * for each person in the database engine, which the lab has connected to PostgreSQL. Returns how callers log in.
 */
export async function configureVault(
  lab: VaultLab,
  { issuer, audience, salespeople }: ConfigurationOptions,
): Promise<VaultLogin & AsyncDisposable> {
  const { mounts, jwtAccessor } = lab
  const write = async (path: string, body: unknown): Promise<void> => {
    const answer = await lab.request('POST', path, body)
    if (answer.status >= 300) throw new Error(`Vault refused ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }

  // vault write auth/jwt/config oidc_discovery_url=… bound_issuer=…
  await write(`auth/${mounts.jwt}/config`, { oidc_discovery_url: issuer, bound_issuer: issuer })

  // vault policy write billing - : each caller may have a database user of the role that is named after the caller, and nothing else.
  const policy = `${lab.policies.user}-billing`
  await write(`sys/policies/acl/${policy}`, {
    policy: `path "${mounts.database}/creds/{{identity.entity.aliases.${jwtAccessor}.name}}-billing" { capabilities = ["read"] }`,
  })

  // vault write auth/jwt/role/billing … : only with tokens for this MCP server. What it gives for one lives as long as that.
  const role = 'billing'
  await write(`auth/${mounts.jwt}/role/${role}`, {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: [audience],
    token_policies: [policy],
    token_ttl: '10m',
    token_max_ttl: '1h',
  })

  // vault write database/roles/alice-billing … : users that PostgreSQL knows as members of the role alice.
  for (const name of salespeople)
    await write(`${mounts.database}/roles/${name}-billing`, {
      db_name: 'postgresql',
      creation_statements: [
        `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE ${name}`,
      ],
      revocation_statements: [
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'`,
        'DROP ROLE IF EXISTS "{{name}}"',
      ],
      default_ttl: '5m',
      max_ttl: '1h',
    })

  return {
    mount: mounts.jwt,
    role,
    async [Symbol.asyncDispose]() {
      await lab.request('DELETE', `sys/policies/acl/${policy}`)
    },
  }
}
