import type { AuditRecord, PromptRecord, ResourceRecord, ToolRecord } from '@mcp-delegation/core'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { protectMcp } from '../src/protect-mcp.ts'
import { type Modules, RESOURCE } from './support.ts'

export type Protected = ReturnType<typeof protectMcp<Modules>>
export type Fetch = (request: Request) => Promise<Response>
export const ERAS = ['2025-11-25', '2026-07-28'] as const

/** A real client that speaks to `serve` without a socket. */
export async function clientOf(
  serve: Fetch,
  token: string,
  era: (typeof ERAS)[number] = '2026-07-28',
): Promise<Client> {
  const client = new Client(
    { name: 'test', version: '1.0.0' },
    era === '2026-07-28' ? { versionNegotiation: { mode: 'auto' } } : {},
  )
  const transport = new StreamableHTTPClientTransport(new URL(RESOURCE), {
    fetch: (url, init) => serve(new Request(url, init)),
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  })
  await client.connect(transport)
  return client
}

export function serverOf(register: (server: McpServer) => void, options?: ConstructorParameters<typeof McpServer>[1]) {
  return createMcpHandler(() => {
    const server = new McpServer({ name: 'test', version: '1.0.0' }, options)
    register(server)
    return server
  })
}

export const tools = (records: readonly AuditRecord[]): readonly ToolRecord[] =>
  records.filter((record): record is ToolRecord => record.event === 'tool')
const USES: readonly string[] = ['tool', 'resource', 'prompt']
/** The records of tools, resources and prompts. */
export const uses = (records: readonly AuditRecord[]): readonly (ToolRecord | ResourceRecord | PromptRecord)[] =>
  records.filter((record): record is ToolRecord | ResourceRecord | PromptRecord => USES.includes(record.event))
export const whoami = (mcp: Protected) => (server: McpServer) => {
  server.registerTool(
    'whoami',
    { inputSchema: z.object({ greeting: z.string() }) },
    mcp.tool('whoami', async ({ greeting }, { session, delegate }) => {
      await using name = await delegate('names', {})
      return { content: [{ type: 'text', text: `${greeting} ${session.subject} as ${name.value.name}` }] }
    }),
  )
}
