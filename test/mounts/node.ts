import { createServer, type Server } from 'node:http'
import type { ModuleMap } from '@mcp-delegation/core'
import type { ProtectedMcp } from '@mcp-delegation/mcp'
import type { McpHttpHandler } from '@modelcontextprotocol/server'

export function withNode(mcp: Pick<ProtectedMcp<ModuleMap>, 'node'>, handler: McpHttpHandler): Server {
  return createServer(mcp.node(handler))
}
