import type { VaultLab } from '@mcp-delegation/labs/vault'

export interface TableOptions {
  /** The names of those who have invoices. */
  readonly salespeople: readonly string[]
  /** The password of the account that readers share: letters, digits, `-` and `_`. */
  readonly readerPassword: string
}

/** The table and the permanent roles. The users are Vault's to make. */
export async function createTables(
  { query, administrator }: VaultLab['postgresql'],
  { salespeople, readerPassword }: TableOptions,
): Promise<void> {
  const statements = [
    `CREATE TABLE invoices (
      number integer PRIMARY KEY,
      salesperson name NOT NULL,
      customer text NOT NULL,
      euros numeric(10, 2) NOT NULL,
      paid boolean NOT NULL DEFAULT false
    )`,
    `INSERT INTO invoices VALUES
      (1, 'alice', 'Abbott & Sons', 120.00),
      (2, 'alice', 'Acme', 75.50),
      (3, 'bob', 'Brown Brothers', 310.00),
      (4, 'erin', 'Evans', 42.00)`,
    // From here on nobody sees a row but by a policy.
    'ALTER TABLE invoices ENABLE ROW LEVEL SECURITY',

    // Salespeople see the invoices of the role that they are members of, and may say that one was paid.
    'CREATE ROLE salespeople NOLOGIN',
    'GRANT SELECT, UPDATE (paid) ON invoices TO salespeople',
    "CREATE POLICY own_invoices ON invoices TO salespeople USING (pg_has_role(salesperson, 'USAGE'))",

    // The shared account sees all of them, and may do nothing else.
    `CREATE ROLE billing_reader LOGIN PASSWORD '${readerPassword}'`,
    'GRANT SELECT ON invoices TO billing_reader',
    'CREATE POLICY all_invoices ON invoices FOR SELECT TO billing_reader USING (true)',

    // A role for each person, of which Vault may make users members.
    ...salespeople.flatMap((name) => [
      `CREATE ROLE ${name} NOLOGIN IN ROLE salespeople`,
      `GRANT ${name} TO ${administrator.username} WITH ADMIN OPTION`,
    ]),
  ]
  for (const statement of statements) await query(statement)
}
