import { z } from 'zod'
import type { CallOptions, VcenterSession } from '../vcenter/index.ts'
import {
  clusterShape,
  datastoreShape,
  host,
  hostShape,
  machineShape,
  machineSummary,
  networkShape,
  snapshotShape,
  vm,
} from './shapes.ts'
import { READS, type Task, type Tool, tool } from './tool.ts'
import {
  clusterLine,
  datastoreLine,
  hostLine,
  lines,
  machineLine,
  machineText,
  networkLine,
  snapshotLine,
} from './words.ts'

const nothing = z.object({})

const whoAmI = tool('who_am_i', {
  title: 'Who am I?',
  description:
    'Says who is calling, which level of permission they have and which tools that opens, and which account vCenter sees. Call it first when something was refused.',
  input: nothing,
  output: z.object({
    name: z.string(),
    subject: z.string(),
    level: z.string(),
    vcenterUser: z.string(),
    tools: z.array(z.string()),
  }),
  annotations: READS,
  async run(_, { session, desk: { access }, vcenter }) {
    const level = access.levelOf(session) ?? 'none'
    const levels: readonly string[] = access.levelsOf(session)
    const tools = access.summary().flatMap((one) => (levels.includes(one.level) ? one.tools : []))
    const vcenterUser = await vcenter(async ({ userName }) => userName)
    const { displayName: name, subject } = session
    return {
      text: `${name} (${subject}), level ${level}; at vCenter: ${vcenterUser}\nmay use: ${tools.join(', ')}`,
      data: { name, subject, level, vcenterUser, tools },
    }
  },
})

const listVms = tool('list_vms', {
  title: 'List virtual machines',
  description: 'Lists the virtual machines with their power state, size and host. Narrow it down in large inventories.',
  input: z.object({
    name_contains: z.string().max(255).describe('Only machines whose name holds this, whatever its case').optional(),
    power: z.enum(['on', 'off', 'suspended']).describe('Only machines in this state').optional(),
  }),
  output: z.object({ vms: z.array(machineSummary) }),
  annotations: READS,
  async run({ name_contains = '', power }, { vcenter }) {
    const all = await vcenter((session, options) => session.listMachines(options))
    const wanted = name_contains.toLowerCase()
    const vms = all.filter(
      (one) => one.name.toLowerCase().includes(wanted) && (power === undefined || one.power === power),
    )
    return { text: lines(vms, machineLine, 'There is no such virtual machine.'), data: { vms } }
  },
})

const getVm = tool('get_vm_info', {
  title: 'Inspect a virtual machine',
  description: 'Tells all about one virtual machine: state, size, host, guest, addresses, VMware Tools, snapshots.',
  input: z.object({ vm }),
  output: machineShape,
  annotations: READS,
  async run({ vm: wanted }, { vcenter }) {
    const machine = await vcenter((session, options) => session.machine(wanted, options))
    return { text: machineText(machine), data: machine }
  },
})

const listSnapshots = tool('list_snapshots', {
  title: 'List snapshots',
  description: 'Lists the snapshots of a virtual machine, each after the one that it is based on.',
  input: z.object({ vm }),
  output: z.object({ snapshots: z.array(snapshotShape) }),
  annotations: READS,
  async run({ vm: wanted }, { vcenter }) {
    const snapshots = await vcenter((session, options) => session.listSnapshots(wanted, options))
    return { text: lines(snapshots, snapshotLine, 'It has no snapshots.'), data: { snapshots } }
  },
})

const getHost = tool('get_host_info', {
  title: 'Inspect a host',
  description: 'Tells about one ESXi host: connection, maintenance mode, hardware, product, number of machines.',
  input: z.object({ host }),
  output: hostShape,
  annotations: READS,
  async run({ host: wanted }, { vcenter }) {
    const found = await vcenter((session, options) => session.host(wanted, options))
    const { model = 'model unknown', product = 'product unknown' } = found
    return { text: `${hostLine(found)}\n  ${model}, ${product}`, data: found }
  },
})

/** What is listed as a whole. */
function list<Thing>(
  name: 'list_hosts' | 'list_clusters' | 'list_datastores' | 'list_networks',
  things: string,
  description: string,
  shape: z.ZodObject,
  line: (thing: Thing) => string,
  ask: (session: VcenterSession, options: CallOptions) => Promise<readonly Thing[]>,
): Tool {
  return tool(name, {
    title: `List ${things}`,
    description,
    input: nothing,
    output: z.object({ [things]: z.array(shape) }),
    annotations: READS,
    async run(_, { vcenter }: Task) {
      const found = await vcenter(ask)
      return { text: lines(found, line, `There are no ${things}.`), data: { [things]: found } }
    },
  })
}

/** What everybody with a level may ask. */
export const inspect: readonly Tool[] = [
  whoAmI,
  listVms,
  getVm,
  listSnapshots,
  getHost,
  list(
    'list_hosts',
    'hosts',
    'Lists the ESXi hosts with connection, maintenance mode, size and number of machines.',
    hostShape,
    hostLine,
    (session, options) => session.listHosts(options),
  ),
  list(
    'list_clusters',
    'clusters',
    'Lists the clusters with their hosts and what CPU and memory they have together.',
    clusterShape,
    clusterLine,
    (session, options) => session.listClusters(options),
  ),
  list(
    'list_datastores',
    'datastores',
    'Lists the datastores with type, capacity and free space.',
    datastoreShape,
    datastoreLine,
    (session, options) => session.listDatastores(options),
  ),
  list(
    'list_networks',
    'networks',
    'Lists the networks and distributed port groups.',
    networkShape,
    networkLine,
    (session, options) => session.listNetworks(options),
  ),
]
