import type { Narrator } from './narrator.ts'

/** Where a client of one's own connects, and what it can do there. */
export interface Directions {
  /** The URL of the MCP server. */
  readonly url: URL
  /** What clients call it. */
  readonly name: string
  /** Whom to log in as, and which tools to call: one sentence or several. */
  readonly advice: string
}

/** Says how to connect a client of one's own, and prints what it does until Ctrl-C. */
export async function serveUntilInterrupted(
  { url, name, advice }: Directions,
  narrator: Narrator,
  interrupted: Promise<unknown>,
): Promise<void> {
  console.log(`
Connect a client of your own. ${advice}

  MCP Inspector   npx @modelcontextprotocol/inspector --transport http --server-url ${url}      (Node 22.19 or later)
  VS Code         code --add-mcp '${JSON.stringify({ name, type: 'http', url })}'
  Claude Code     claude mcp add --transport http ${name} ${url}      then /mcp in a session, to log in

Ctrl-C ends everything.`)
  const printing = setInterval(() => narrator.records(), 500)
  await interrupted
  clearInterval(printing)
}
