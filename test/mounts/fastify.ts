import type { ModuleMap } from '@mcp-delegation/core'
import type { ProtectedMcp } from '@mcp-delegation/mcp'
import type { McpHttpHandler } from '@modelcontextprotocol/server'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

export function withFastify(mcp: Pick<ProtectedMcp<ModuleMap>, 'node'>, handler: McpHttpHandler): FastifyInstance {
  const app = fastify()
  const serve = mcp.node(handler)
  const answer = async ({ raw, body }: FastifyRequest, reply: FastifyReply): Promise<void> => {
    reply.hijack()
    await serve(raw, reply.raw, body)
  }
  app.all('/mcp', answer)
  app.all('/.well-known/oauth-protected-resource', answer)
  app.all('/.well-known/oauth-protected-resource/*', answer)
  return app
}
