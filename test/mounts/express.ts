import type { ModuleMap } from '@mcp-delegation/core'
import type { ProtectedMcp } from '@mcp-delegation/mcp'
import type { McpHttpHandler } from '@modelcontextprotocol/server'
import express, { type Express } from 'express'

export function withExpress(mcp: Pick<ProtectedMcp<ModuleMap>, 'node'>, handler: McpHttpHandler): Express {
  const app = express()
  app.all(['/mcp', '/.well-known/oauth-protected-resource{/*path}'], mcp.node(handler))
  return app
}

/** The same after a body parser: it has read the body, so it is handed over. */
export function withExpressJson(mcp: Pick<ProtectedMcp<ModuleMap>, 'node'>, handler: McpHttpHandler): Express {
  const app = express()
  const serve = mcp.node(handler)
  app.use(express.json())
  app.all(['/mcp', '/.well-known/oauth-protected-resource{/*path}'], (request, response) =>
    serve(request, response, request.body),
  )
  return app
}
