import { type AuditSink, DelegationRegistry, firstMapped, type SecretSource } from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { protectMcp } from '@mcp-delegation/mcp'
import { serviceAccount, userAccounts } from '@mcp-delegation/service-account'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'

export interface InventoryOptions {
  /** The URL of this MCP server, which its callers' tokens must name. */
  readonly resource: URL
  /** The scope that its callers' tokens must have. */
  readonly scope: string
  readonly issuer: string
  /** The origin of the backend. */
  readonly warehouse: string
  readonly passwords: { readonly alice: SecretSource; readonly shared: SecretSource }
  readonly audit: AuditSink
}

/** The MCP server: one tool, which asks the warehouse with the account of whoever calls it. */
export function createInventory({ resource, scope, issuer, warehouse, passwords, audit }: InventoryOptions) {
  const registry = new DelegationRegistry({
    modules: {
      warehouse: firstMapped(
        userAccounts({
          accounts: [
            { issuer, subject: 'alice', target: 'warehouse', username: 'alice.adams', password: passwords.alice },
          ],
        }),
        serviceAccount({
          accounts: { warehouse: { username: 'shared-reader', password: passwords.shared } },
          allow: (session) => session.groups.has('warehouse-readers'),
        }),
      ),
    },
    audit,
    policy: 'backend-decides',
  })

  const verifier = oidcVerifier({ issuers: [{ issuer }], audience: resource.href })
  const mcp = protectMcp({ resource, verifier, registry, requiredScopes: [scope] })

  const handler = createMcpHandler(() => {
    const server = mcp.guard(new McpServer({ name: 'inventory', version: '1.0.0' }))
    const inputSchema = z.object({ item: z.string() })
    server.registerTool(
      'stock',
      { description: 'How many of an item the warehouse has: bolts or nuts', inputSchema },
      mcp.tool('stock', async ({ item }, { delegate, signal }) => {
        await using account = await delegate('warehouse', { target: 'warehouse' })
        const { username, password } = account.value
        const basic = Buffer.from(`${username}:${password.reveal()}`).toString('base64')
        const response = await fetch(`${warehouse}/stock/${encodeURIComponent(item)}`, {
          signal,
          headers: { authorization: `Basic ${basic}` },
        })
        if (response.status === 401) account.invalidate()
        if (!response.ok) throw new Error(`the warehouse answered ${response.status}`)
        return { content: [{ type: 'text', text: await response.text() }] }
      }),
    )
    return server
  })
  return { registry, answer: mcp.node(handler) }
}
