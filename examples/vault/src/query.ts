import type { PasswordCredential } from '@mcp-delegation/core'
import { Client, DatabaseError, type QueryResultRow } from 'pg'

/** Where a database is. */
export interface DatabaseAddress {
  readonly host: string
  readonly port: number
  readonly database: string
}

/** SQLSTATE of what PostgreSQL answers. */
const WRONG_PASSWORD = '28P01'
const NOT_PERMITTED = '42501'

/** Runs one statement as the user of a credential, in a connection of its own. */
export async function query<Row extends QueryResultRow>(
  { host, port, database }: DatabaseAddress,
  { username, password }: PasswordCredential,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const client = new Client({
    host,
    port,
    database,
    user: username,
    password: password.reveal(),
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  })
  // A connection that breaks shows in the statement on it; without a listener it would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Row>(sql, [...parameters])).rows
  } finally {
    await client.end()
  }
}

/** Whether PostgreSQL lets nobody in with this credential. */
export function isWrongPassword(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === WRONG_PASSWORD
}

/** What PostgreSQL says where the user may not do something; `undefined` for all other errors. */
export function refusalOf(error: unknown): string | undefined {
  return error instanceof DatabaseError && error.code === NOT_PERMITTED ? error.message : undefined
}
