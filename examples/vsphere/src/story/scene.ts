import type { IdentityProvider } from '@mcp-delegation/labs/identity-provider'
import type { Narrator } from '@mcp-delegation/labs/story'
import type { VcenterLab } from '@mcp-delegation/labs/vsphere'
import type { Client } from '@modelcontextprotocol/client'

export interface Scene {
  readonly narrator: Narrator
  /** Where the MCP server is. */
  readonly url: URL
  readonly provider: IdentityProvider
  readonly center: VcenterLab
  readonly auditFile: string
}

/** Those who are logged in at the MCP server, by name. */
export type Clients = Readonly<Record<string, Client>>

/** Who is logged in at vCenter, in the order of the alphabet. */
export async function loggedIn(center: VcenterLab): Promise<readonly string[]> {
  return (await center.sessions()).map(({ userName }) => userName).sort()
}
