import type { DelegationModule, PasswordCredential } from '@mcp-delegation/core'
import { type ProtectOptions, protectMcp } from '@mcp-delegation/mcp/v1'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import express, { type Express } from 'express'
import { z } from 'zod'

type Modules = { billing: DelegationModule<{ readonly target: string }, PasswordCredential> }

export function withSdkV1(options: ProtectOptions<Modules>): Express {
  const mcp = protectMcp(options)
  mcp.scopes('balance', 'billing:read')

  const app = express()
  app.use(express.json(), mcp.middleware)
  app.all('/mcp', async (request, response) => {
    const server = mcp.guard(new McpServer({ name: 'billing', version: '1.0.0' }))
    server.registerTool(
      'balance',
      { inputSchema: { account: z.string() } },
      mcp.tool('balance', async ({ account }, { delegate }) => {
        await using login = await delegate('billing', { target: 'billing' })
        return { content: [{ type: 'text', text: `${account}, seen by ${login.value.username}` }] }
      }),
    )
    // Without a session id generator, each request is a session of its own. The cast is for exactOptionalPropertyTypes.
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport as Transport)
    await transport.handleRequest(request, response, request.body)
  })
  return app
}
