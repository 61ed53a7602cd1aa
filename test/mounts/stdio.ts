import { userInfo } from 'node:os'
import { createSession, type DelegationModule, type PasswordCredential, type Session } from '@mcp-delegation/core'
import { type ProtectOptions, protectMcp } from '@mcp-delegation/mcp'
import { McpServer, type McpServerFactory } from '@modelcontextprotocol/server'
import { type ServeStdioOptions, type StdioServerHandle, serveStdio } from '@modelcontextprotocol/server/stdio'

type Modules = { billing: DelegationModule<{ readonly target: string }, PasswordCredential> }

const HOUR = 3_600_000

/** The person who runs the process is the caller: the operating system has verified them. */
async function osUser(): Promise<Session> {
  const { username } = userInfo()
  const now = Date.now()
  return createSession({
    issuer: 'urn:example:workstation',
    subject: username,
    clientId: undefined,
    kind: 'user',
    displayName: username,
    groups: new Set(),
    roles: new Set(),
    scopes: new Set(),
    act: [],
    claims: {},
    issuedAt: new Date(now),
    expiresAt: new Date(now + 8 * HOUR),
    token: undefined,
  })
}

function billing(options: ProtectOptions<Modules>): McpServerFactory {
  const mcp = protectMcp({ ...options, stdio: osUser })
  return () => {
    const server = mcp.guard(new McpServer({ name: 'billing', version: '1.0.0' }))
    server.registerTool(
      'login',
      {},
      mcp.tool('login', async (_args, { delegate }) => {
        await using login = await delegate('billing', { target: 'billing' })
        return { content: [{ type: 'text', text: login.value.username }] }
      }),
    )
    return server
  }
}

/** Serves stdin and stdout; `createMcpHandler` would serve the same factory over HTTP. */
export function serve(options: ProtectOptions<Modules>, stdio: ServeStdioOptions = {}): StdioServerHandle {
  return serveStdio(billing(options), stdio)
}
