import { type Client, SdkHttpError } from '@modelcontextprotocol/client'

/** What a tool call gave: its text, and the error's code where it failed. */
export interface Answer {
  readonly text: string
  readonly code: unknown
}

/** Calls a tool as the user of the client. */
export async function callTool(client: Client, name: string, given: Record<string, unknown> = {}): Promise<Answer> {
  const { content, _meta } = await client.callTool({ name, arguments: given })
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('')
  return { text, code: _meta?.['mcp-delegation/code'] }
}

/** What a request is answered with: 200, or the status that the client fails with. */
export async function httpStatusOf(request: () => Promise<unknown>): Promise<number> {
  try {
    await request()
    return 200
  } catch (error) {
    if (error instanceof SdkHttpError) return error.status
    throw error
  }
}
