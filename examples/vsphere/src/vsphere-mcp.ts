import { type AuditSink, DelegationRegistry, type Logger } from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { protectMcp } from '@mcp-delegation/mcp'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { LEVELS, vsphereAccess } from './access.ts'
import { registerPrompts } from './prompts.ts'
import { registerResources } from './resources.ts'
import type { Settings } from './settings.ts'
import { tools } from './tools/index.ts'
import { vcenter } from './vcenter/index.ts'
import { vcenterModules } from './vcenter-modules.ts'

export interface VsphereMcpOptions {
  readonly settings: Settings
  readonly audit: AuditSink
  readonly log: Logger
}

/** The arguments that say what was done to what. None of them is a secret. */
const AUDITED = ['vm', 'host', 'name', 'snapshot', 'cpus', 'memory_mb', 'session', 'subject']

const INSTRUCTIONS =
  'Tools work at vCenter as the user who calls. Those that are not listed are above the level of the user: say so instead of looking for another way. Name machines and hosts as list_vms and list_hosts do, or by their ids.'

/** The MCP server: its tools work at vCenter as whoever calls them, within their level. */
export function createVsphereMcp({ settings, audit, log }: VsphereMcpOptions) {
  const { resource, scope, oidc, groups, accounts, vault, callsPerMinute } = settings
  const { issuer, profile, audience, groupsClaim } = oidc
  const usernames = Object.fromEntries(LEVELS.map((level) => [level, accounts[level]?.username]))
  const access = vsphereAccess({ issuer, groups, accounts: usernames, callsPerMinute, log })
  const client = vcenter({ url: settings.vcenter.url, ca: settings.vcenter.ca })
  const registry = new DelegationRegistry({
    modules: vcenterModules({
      vcenter: client,
      issuer,
      vault,
      accounts,
      access,
      maxAge: settings.vcenter.sessionMaxAge,
    }),
    cache: { max: settings.vcenter.maxSessions },
    audit,
    log,
    policy: access,
  })
  const verifier = oidcVerifier({ issuers: [{ issuer, profile, groups: groupsClaim }], audience, log })
  const mcp = protectMcp({
    resource,
    verifier,
    registry,
    requiredScopes: scope === undefined ? [] : [scope],
    allowedOrigins: settings.allowedOrigins,
    auditedArguments: Object.fromEntries(tools.map(({ name }) => [name, AUDITED])),
    log,
  })
  const desk = { registry, mcp, issuer, access }
  const handler = createMcpHandler(() => {
    const server = mcp.guard(new McpServer({ name: 'vsphere', version: '1.0.0' }, { instructions: INSTRUCTIONS }))
    for (const tool of tools) tool.register(server, desk)
    registerResources(server, desk)
    registerPrompts(server, desk)
    return server
  })
  return {
    registry,
    access,
    answer: mcp.node(handler),
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]()
      client.close()
    },
  }
}

export type VsphereMcp = ReturnType<typeof createVsphereMcp>
