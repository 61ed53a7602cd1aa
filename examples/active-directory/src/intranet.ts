import { type AuditSink, DelegationRegistry, type Logger } from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { kerberosDelegation } from '@mcp-delegation/kerberos'
import { protectMcp } from '@mcp-delegation/mcp'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { leaveNote, listShare, type RunClient, whoAmI } from './clients.ts'

const WEB = 'HTTP/backend.corp.example'
const LDAP = 'ldap/dc1.corp.example'
const SMB = 'cifs/dc1.corp.example'

export interface IntranetOptions {
  /** The URL of this MCP server, which its callers' tokens must name. */
  readonly resource: URL
  /** The scope that its callers' tokens must have. */
  readonly scope: string
  readonly issuer: string
  /** The domain's KDC, `host:port`. */
  readonly kdc: string
  /** The keytab of svc-mcp, the account that may act for users. */
  readonly keytabPath: string
  /** The origin of the web service. */
  readonly web: string
  /** Runs the directory's and the share's clients, where there are a directory and a share. */
  readonly run: RunClient | undefined
  readonly audit: AuditSink
  readonly log: Logger
}

/** The MCP server: each tool asks a backend of the domain as the user who calls it. */
export function createIntranet({ resource, scope, issuer, kdc, keytabPath, web, run, audit, log }: IntranetOptions) {
  const registry = new DelegationRegistry({
    modules: {
      domain: kerberosDelegation({
        realm: 'CORP.EXAMPLE',
        kdc,
        serviceAccount: { username: 'svc-mcp', keytabPath },
        allowedDelegationTargets: [WEB, LDAP, SMB],
        // Other programs get these tickets, in a file that is gone when the tool has answered.
        allowExport: [LDAP, SMB],
        principal: {
          // This provider takes the claim from the directory, and its users can't edit it.
          issuers: [{ issuer, claim: 'upn', pattern: /[a-z0-9._-]+@corp\.example/, acceptMutableClaim: true }],
        },
      }),
    },
    audit,
    log,
    policy: 'backend-decides',
  })

  const verifier = oidcVerifier({ issuers: [{ issuer }], audience: resource.href })
  const mcp = protectMcp({ resource, verifier, registry, requiredScopes: [scope], log })
  const text = (answer: string) => ({ content: [{ type: 'text' as const, text: answer }] })

  const handler = createMcpHandler(() => {
    const server = mcp.guard(new McpServer({ name: 'intranet', version: '1.0.0' }))
    server.registerTool(
      'whoami_intranet',
      { description: 'Asks the web service who is calling' },
      mcp.tool('whoami_intranet', async (_, { delegate, signal }) => {
        await using ticket = await delegate('domain', { targetService: WEB })
        const response = await fetch(web, { signal, headers: { authorization: await ticket.value.negotiate() } })
        if (response.status === 401) ticket.invalidate()
        if (!response.ok) throw new Error(`the web service answered ${response.status}`)
        return text((await response.text()).trim())
      }),
    )
    if (run === undefined) return server

    server.registerTool(
      'whoami_ldap',
      { description: 'Asks the directory (LDAP) who is calling' },
      mcp.tool('whoami_ldap', async (_, { delegate }) => {
        await using ticket = await delegate('domain', { targetService: LDAP })
        await using cache = await ticket.value.exportCredentialCache()
        return text(await whoAmI(run, cache.path))
      }),
    )
    server.registerTool(
      'leave_note',
      { description: 'Puts a note into the file share' },
      mcp.tool('leave_note', async (_, { delegate }) => {
        await using ticket = await delegate('domain', { targetService: SMB })
        await using cache = await ticket.value.exportCredentialCache()
        return text(await leaveNote(run, cache.path))
      }),
    )
    server.registerTool(
      'list_share',
      { description: 'Lists the notes in the file share, with their owners' },
      mcp.tool('list_share', async (_, { delegate }) => {
        await using ticket = await delegate('domain', { targetService: SMB })
        await using cache = await ticket.value.exportCredentialCache()
        const notes = await listShare(run, cache.path)
        return text(notes.map(({ name, owner }) => `${name} of ${owner}`).join('\n'))
      }),
    )
    return server
  })
  return { registry, answer: mcp.node(handler) }
}
