import type { ModuleMap } from '@mcp-delegation/core'
import type { ProtectedMcp } from '@mcp-delegation/mcp'
import type { McpHttpHandler } from '@modelcontextprotocol/server'
import { Hono } from 'hono'

export function withHono(mcp: Pick<ProtectedMcp<ModuleMap>, 'fetch'>, handler: McpHttpHandler): Hono {
  const app = new Hono()
  const serve = mcp.fetch(handler)
  app.all('/mcp', ({ req }) => serve(req.raw))
  app.all('/.well-known/oauth-protected-resource/*', ({ req }) => serve(req.raw))
  return app
}
