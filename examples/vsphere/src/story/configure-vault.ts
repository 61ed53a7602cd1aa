import type { VaultLab } from '@mcp-delegation/labs/vault'

export interface ConfigurationOptions {
  /** Who issues the tokens that callers log in with. */
  readonly issuer: string
  /** Whom those tokens must be for: the URL of the MCP server. */
  readonly audience: string
  /** Those who have an account of their own at vCenter, by subject. */
  readonly accounts: Readonly<Record<string, { readonly username: string; readonly password: string }>>
}

/** The role that callers log in with. */
export const ROLE = 'vsphere-mcp'

/**
 * What an administrator of Vault does once: has it trust the identity provider, lets each user read what is the user's
 * own, and stores the accounts. README.md has the same as commands.
 */
export async function configureVault(
  lab: VaultLab,
  { issuer, audience, accounts }: ConfigurationOptions,
): Promise<AsyncDisposable> {
  const { mounts, jwtAccessor } = lab
  const write = async (path: string, body: unknown): Promise<void> => {
    const answer = await lab.request('POST', path, body)
    if (answer.status >= 300) throw new Error(`Vault refused ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  await write(`auth/${mounts.jwt}/config`, { oidc_discovery_url: issuer, bound_issuer: issuer })

  const policy = `${lab.policies.user}-vsphere`
  const name = `{{identity.entity.aliases.${jwtAccessor}.name}}`
  await write(`sys/policies/acl/${policy}`, {
    policy: ['data', 'metadata']
      .map((kind) => `path "${mounts.kv2}/${kind}/users/${name}/vcenter" { capabilities = ["read"] }`)
      .join('\n'),
  })
  await write(`auth/${mounts.jwt}/role/${ROLE}`, {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: [audience],
    token_policies: [policy],
    token_ttl: '10m',
    token_max_ttl: '1h',
  })
  for (const [subject, data] of Object.entries(accounts))
    await write(`${mounts.kv2}/data/users/${subject}/vcenter`, { data })
  return {
    async [Symbol.asyncDispose]() {
      await lab.request('DELETE', `sys/policies/acl/${policy}`)
    },
  }
}
