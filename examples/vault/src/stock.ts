import type { VaultLab } from '@mcp-delegation/labs/vault'

/** What Vault has made and not ended yet. */
export interface Stock {
  /** Ids of the leases of its secret engines. */
  readonly leases: readonly string[]
  /** Accessors of the tokens that logins gave. */
  readonly tokens: readonly string[]
  /** Names of the users that it made in PostgreSQL, as PostgreSQL has them. */
  readonly users: readonly string[]
}

/** Counts at the servers themselves. */
export async function stockOf(lab: VaultLab): Promise<Stock> {
  const [leases, tokens, users] = await Promise.all([lab.leases(), lab.accessors(), usersOf(lab)])
  return { leases, tokens, users }
}

/** The users that Vault made in PostgreSQL. */
export async function usersOf({ postgresql }: VaultLab): Promise<readonly string[]> {
  const rows = await postgresql.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY rolname")
  return rows.map(({ rolname }) => String(rolname))
}

/** Counts until it is as expected, for at most ten seconds: Vault ends what belongs to a token a moment after the token. */
export async function stockWhen(lab: VaultLab, isExpected: (stock: Stock) => boolean): Promise<Stock> {
  const end = performance.now() + 10_000
  for (;;) {
    const stock = await stockOf(lab)
    if (isExpected(stock) || performance.now() > end) return stock
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export function describeStock({ leases, tokens, users }: Stock): string {
  return `leases: ${leases.length}, tokens: ${tokens.length}, database users: ${users.length}`
}
