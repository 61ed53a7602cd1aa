import type { Client } from '@modelcontextprotocol/client'

/** What a tool call gave. */
export interface Given {
  readonly text: string
  readonly isError: boolean
  /** The error's code where this server refused, not vCenter. */
  readonly code: unknown
  readonly data: Readonly<Record<string, unknown>> | undefined
}

/** Calls a tool as the user of the client, which checks the answer against the tool's output schema. */
export async function call(
  client: Client | undefined,
  name: string,
  given: Record<string, unknown> = {},
): Promise<Given> {
  if (client === undefined) throw new Error('nobody is logged in')
  const { content, isError = false, structuredContent, _meta } = await client.callTool({ name, arguments: given })
  return {
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    isError,
    code: _meta?.['mcp-delegation/code'],
    data: structuredContent as Given['data'],
  }
}
