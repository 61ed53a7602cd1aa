import type { DelegationModule, PasswordCredential, Session } from '@mcp-delegation/core'
import { type ProtectOptions, protectFastMcp } from '@mcp-delegation/mcp/fastmcp'
import { FastMCP } from 'fastmcp'
import { z } from 'zod'

type Modules = { billing: DelegationModule<{ readonly target: string }, PasswordCredential> }

export async function withFastMcp(options: ProtectOptions<Modules>, port: number): Promise<FastMCP<Session>> {
  const { authenticate, guard, metadata, tool } = protectFastMcp(options)
  const server = guard(new FastMCP<Session>({ name: 'billing', version: '1.0.0', authenticate }))
  const Balance = z.object({ account: z.string() })
  server.addTool({
    parameters: Balance,
    ...tool('balance', async ({ account }: z.infer<typeof Balance>, { delegate }) => {
      await using login = await delegate('billing', { target: 'billing' })
      return `${account}, seen by ${login.value.username}`
    }),
  })
  const app = server.getApp()
  app.all('/.well-known/oauth-protected-resource/*', ({ req, notFound }) => metadata(req.raw) ?? notFound())
  await server.start({ transportType: 'httpStream', httpStream: { host: '127.0.0.1', port, stateless: true } })
  return server
}
