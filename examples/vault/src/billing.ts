import {
  type AuditSink,
  type Credential,
  DelegationRegistry,
  firstMapped,
  type Logger,
  type PasswordCredential,
  type SecretSource,
} from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { protectMcp } from '@mcp-delegation/mcp'
import { serviceAccount } from '@mcp-delegation/service-account'
import { database, jwtLogin, vaultMapping } from '@mcp-delegation/vault'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import type { QueryResultRow } from 'pg'
import { z } from 'zod'
import { type DatabaseAddress, isWrongPassword, query, refusalOf } from './query.ts'

export interface BillingOptions {
  /** The URL of this MCP server, which its callers' tokens must name. */
  readonly resource: URL
  /** The scope that its callers' tokens must have. */
  readonly scope: string
  readonly issuer: string
  readonly vault: {
    readonly address: string
    /** The path of the PEM file of the authority that Vault's certificate is from. */
    readonly ca: string
    /** How callers log in there. */
    readonly login: { readonly mount: string; readonly role: string }
    /** Where its database engine is mounted. */
    readonly databaseMount: string
  }
  /** Those who have a role in Vault's database engine: subject → the name that Vault knows them by. */
  readonly salespeople: Readonly<Record<string, string>>
  readonly postgresql: DatabaseAddress
  /** The password of the account that readers share. */
  readonly readerPassword: SecretSource
  readonly audit: AuditSink
  readonly log: Logger
}

/** The MCP server: its tools ask PostgreSQL with a database user of whoever calls them. */
export function createBilling({ resource, scope, issuer, vault, salespeople, postgresql, ...options }: BillingOptions) {
  const { readerPassword, audit, log } = options
  const registry = new DelegationRegistry({
    modules: {
      billing: firstMapped(
        vaultMapping({
          address: vault.address,
          tls: { ca: vault.ca },
          login: jwtLogin(vault.login),
          principal: { issuers: [{ issuer, table: salespeople }] },
          targets: { billing: database({ mount: vault.databaseMount, role: '{principal}-billing' }) },
        }),
        serviceAccount({
          accounts: { billing: { username: 'billing_reader', password: readerPassword } },
          allow: (session) => session.groups.has('billing-readers'),
        }),
      ),
    },
    audit,
    log,
    policy: 'backend-decides',
  })

  const verifier = oidcVerifier({ issuers: [{ issuer }], audience: resource.href })
  const mcp = protectMcp({ resource, verifier, registry, requiredScopes: [scope], log })

  /** Runs one statement as the user of the account, who decides by it what there is to see. */
  async function ask<Row extends QueryResultRow>(
    account: Credential<PasswordCredential>,
    sql: string,
    parameters: readonly unknown[] = [],
  ): Promise<readonly Row[]> {
    try {
      return await query<Row>(postgresql, account.value, sql, parameters)
    } catch (error) {
      if (isWrongPassword(error)) account.invalidate()
      throw error
    }
  }

  const handler = createMcpHandler(() => {
    const server = mcp.guard(new McpServer({ name: 'billing', version: '1.0.0' }))
    server.registerTool(
      'whoami',
      { description: 'Asks the database who is calling' },
      mcp.tool('whoami', async (_, { delegate }) => {
        await using account = await delegate('billing', { target: 'billing' })
        const [row] = await ask<{ name: string }>(account, 'SELECT session_user AS name')
        return text(row?.name ?? '')
      }),
    )
    server.registerTool(
      'list_invoices',
      { description: 'Lists the invoices that the caller may see' },
      mcp.tool('list_invoices', async (_, { delegate }) => {
        await using account = await delegate('billing', { target: 'billing' })
        const invoices = await ask<Invoice>(account, 'SELECT * FROM invoices ORDER BY number')
        return text(invoices.map(lineOf).join('\n'))
      }),
    )
    server.registerTool(
      'mark_paid',
      { description: 'Notes that an invoice was paid', inputSchema: z.object({ number: z.number().int() }) },
      mcp.tool('mark_paid', async ({ number }, { delegate }) => {
        await using account = await delegate('billing', { target: 'billing' })
        try {
          const sql = 'UPDATE invoices SET paid = true WHERE number = $1 RETURNING *'
          const [invoice] = await ask<Invoice>(account, sql, [number])
          return text(invoice === undefined ? `there is no invoice ${number}` : lineOf(invoice))
        } catch (error) {
          const refusal = refusalOf(error)
          if (refusal === undefined) throw error
          return { ...text(`PostgreSQL refuses: ${refusal}`), isError: true }
        }
      }),
    )
    return server
  })
  return { registry, answer: mcp.node(handler) }
}

interface Invoice {
  readonly number: number
  readonly salesperson: string
  readonly customer: string
  readonly euros: string
  readonly paid: boolean
}

function lineOf({ number, salesperson, customer, euros, paid }: Invoice): string {
  return `${number} of ${salesperson} to ${customer}: ${euros} EUR, ${paid ? 'paid' : 'open'}`
}

function text(answer: string) {
  return { content: [{ type: 'text' as const, text: answer }] }
}
