import type { Credential, SessionCredential } from '@mcp-delegation/core'
import { type McpServer, ProtocolError, ProtocolErrorCode, ResourceTemplate } from '@modelcontextprotocol/server'
import { VCENTER } from './access.ts'
import { inSession } from './in-session.ts'
import { type Desk, refusal } from './tools/index.ts'
import { VcenterError, type VcenterSession } from './vcenter/index.ts'

const TYPE = 'application/json'

/** What a session at vCenter is asked with. */
type Delegate = (
  name: typeof VCENTER,
  request: { readonly target: typeof VCENTER },
) => Promise<Credential<SessionCredential<VcenterSession>>>

/** The inventory, and each virtual machine by its id or name, as JSON. */
export function registerResources(server: McpServer, { mcp }: Pick<Desk, 'mcp'>): void {
  server.registerResource(
    'inventory',
    'vsphere://inventory',
    {
      title: 'Inventory',
      description: 'Clusters, hosts, datastores, networks and virtual machines',
      mimeType: TYPE,
    },
    mcp.resource('inventory', async (uri, { delegate, signal }) =>
      answer(uri, delegate, async (session) => {
        const options = { signal }
        return {
          clusters: await session.listClusters(options),
          hosts: await session.listHosts(options),
          datastores: await session.listDatastores(options),
          networks: await session.listNetworks(options),
          vms: await session.listMachines(options),
        }
      }),
    ),
  )
  server.registerResource(
    'vm',
    new ResourceTemplate('vsphere://vm/{vm}', { list: undefined }),
    { title: 'Virtual machine', description: 'One virtual machine, by its id or its name', mimeType: TYPE },
    mcp.resource('vm', async (uri, { delegate, signal, variables }) =>
      answer(uri, delegate, (session) => session.machine(decodeURIComponent(String(variables['vm'])), { signal })),
    ),
  )
}

async function answer(uri: URL, delegate: Delegate, ask: (session: VcenterSession) => Promise<unknown>) {
  try {
    const found = await inSession(() => delegate(VCENTER, { target: VCENTER }), ask)
    return { contents: [{ uri: uri.href, mimeType: TYPE, text: JSON.stringify(found, undefined, 2) }] }
  } catch (error) {
    if (!(error instanceof VcenterError)) throw error
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, refusal(error))
  }
}
