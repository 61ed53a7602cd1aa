import type { Narrator } from './narrator.ts'

/** Says how to connect a client of one's own, and prints what it does until Ctrl-C. */
export async function serveUntilInterrupted(
  url: URL,
  narrator: Narrator,
  interrupted: Promise<unknown>,
): Promise<void> {
  console.log(`
Connect a client of your own. Log in as alice, bob or carol; any password will do. Then call the tool "stock".

  MCP Inspector   npx @modelcontextprotocol/inspector --transport http --server-url ${url}      (Node 22.19 or later)
  VS Code         code --add-mcp '${JSON.stringify({ name: 'quickstart', type: 'http', url })}'
  Claude Code     claude mcp add --transport http quickstart ${url}      then /mcp in a session, to log in

Ctrl-C ends everything.`)
  const printing = setInterval(() => narrator.records(), 500)
  await interrupted
  clearInterval(printing)
}
