import { find, machineSummary, only } from './inventory.ts'
import { type Connection, refs, retrieveAll, retrieveOf, retrieveOne, text } from './properties.ts'
import { findSnapshot, listSnapshots } from './snapshots.ts'
import { runTask } from './tasks.ts'
import { type Ref, reference } from './transport.ts'
import type {
  CallOptions,
  MachineChange,
  MachineSummary,
  NewMachine,
  PowerOperation,
  Snapshot,
  TaskOptions,
} from './types.ts'
import { VcenterError } from './vcenter-error.ts'
import { tag, tags } from './xml.ts'

const POWER_TASKS = { on: 'PowerOnVM_Task', off: 'PowerOffVM_Task', reset: 'ResetVM_Task', suspend: 'SuspendVM_Task' }
const GUEST_CALLS = { 'shutdown-guest': 'ShutdownGuest', 'reboot-guest': 'RebootGuest' }

export async function power(
  to: Connection,
  wanted: string,
  operation: PowerOperation,
  options: TaskOptions,
): Promise<void> {
  const machine = await find(to, 'VirtualMachine', wanted, options)
  if (operation === 'shutdown-guest' || operation === 'reboot-guest')
    await to.call(GUEST_CALLS[operation], machine, [], options)
  else await runTask(to, POWER_TASKS[operation], machine, [], options)
}

export async function createSnapshot(
  to: Connection,
  wanted: string,
  snapshot: { readonly name: string; readonly description?: string | undefined; readonly memory?: boolean | undefined },
  options: TaskOptions,
): Promise<Snapshot> {
  const machine = await find(to, 'VirtualMachine', wanted, options)
  const { name, description, memory = false } = snapshot
  const made = await runTask(
    to,
    'CreateSnapshot_Task',
    machine,
    tags({ name, description, memory, quiesce: false }),
    options,
  )
  const [found] = (await listSnapshots(to, machine, options)).filter(({ id }) => id === made?.id)
  if (found === undefined) throw nothingMade('snapshot')
  return found
}

export async function revertToSnapshot(
  to: Connection,
  wanted: string,
  snapshot: string,
  options: TaskOptions,
): Promise<void> {
  const machine = await find(to, 'VirtualMachine', wanted, options)
  const found = await findSnapshot(to, machine, snapshot, options)
  await runTask(to, 'RevertToSnapshot_Task', found, [], options)
}

export async function removeSnapshot(
  to: Connection,
  wanted: string,
  snapshot: string,
  options: TaskOptions,
): Promise<void> {
  const machine = await find(to, 'VirtualMachine', wanted, options)
  const found = await findSnapshot(to, machine, snapshot, options)
  await runTask(to, 'RemoveSnapshot_Task', found, [tag('removeChildren', false)], options)
}

export async function createMachine(
  to: Connection,
  machine: NewMachine,
  options: TaskOptions,
): Promise<MachineSummary> {
  const { name, cluster, datastore, cpus = 1, memoryMb = 1_024, guestId = 'otherGuest64', annotation } = machine
  const clusters = await retrieveAll(
    to,
    { ClusterComputeResource: ['name', 'resourcePool', 'datastore', 'parent'] },
    options,
  )
  const named = clusters.filter(
    (one) => cluster === undefined || one.ref.id === cluster || text(one, 'name') === cluster,
  )
  const { id } = only(named, 'cluster')
  const [place] = named.filter(({ ref }) => ref.id === id)
  const [pool] = place === undefined ? [] : refs(place, 'resourcePool')
  if (place === undefined || pool === undefined) throw nothingMade('machine')
  const datastores = await retrieveOf(to, refs(place, 'datastore'), ['name'], options)
  const store = only(
    datastores.filter((one) => datastore === undefined || one.ref.id === datastore || text(one, 'name') === datastore),
    'datastore',
  )
  const path = datastores.filter(({ ref }) => ref.id === store.id).map((one) => `[${text(one, 'name')}]`)
  const config = tags({
    name,
    guestId,
    annotation,
    files: tags({ vmPathName: path.join('') }),
    numCPUs: cpus,
    memoryMB: memoryMb,
  })
  const folder = await machineFolder(to, refs(place, 'parent')[0], options)
  const made = await runTask(to, 'CreateVM_Task', folder, [tag('config', config), reference('pool', pool)], options)
  return summaryOfNew(to, made, options)
}

export async function cloneMachine(
  to: Connection,
  wanted: string,
  name: string,
  options: TaskOptions,
): Promise<MachineSummary> {
  const machine = await find(to, 'VirtualMachine', wanted, options)
  const [folder] = refs(await retrieveOne(to, machine, ['parent'], options), 'parent')
  if (folder === undefined) throw new VcenterError('ERR_VCENTER_NOT_FOUND', 'the machine lies in no folder')
  const spec = tags({ location: [], template: false, powerOn: false })
  const parts = [reference('folder', folder), tag('name', name), tag('spec', spec)]
  return summaryOfNew(to, await runTask(to, 'CloneVM_Task', machine, parts, options), options)
}

export async function deleteMachine(to: Connection, wanted: string, options: TaskOptions): Promise<void> {
  await runTask(to, 'Destroy_Task', await find(to, 'VirtualMachine', wanted, options), [], options)
}

export async function reconfigureMachine(
  to: Connection,
  wanted: string,
  { name, cpus, memoryMb }: MachineChange,
  options: TaskOptions,
): Promise<MachineSummary> {
  const machine = await find(to, 'VirtualMachine', wanted, options)
  const spec = tags({ name, numCPUs: cpus, memoryMB: memoryMb })
  await runTask(to, 'ReconfigVM_Task', machine, [tag('spec', spec)], options)
  return machineSummary(to, machine, options)
}

/** Where the machines of the datacenter are that has the folder of hosts `folder` in it. */
async function machineFolder(to: Connection, folder: Ref | undefined, options: CallOptions): Promise<Ref> {
  let at = folder
  while (at !== undefined && at.type !== 'Datacenter')
    [at] = refs(await retrieveOne(to, at, ['parent'], options), 'parent')
  const [found] = at === undefined ? [] : refs(await retrieveOne(to, at, ['vmFolder'], options), 'vmFolder')
  if (found === undefined) throw new VcenterError('ERR_VCENTER_NOT_FOUND', 'the cluster lies in no datacenter')
  return found
}

async function summaryOfNew(to: Connection, made: Ref | undefined, options: CallOptions): Promise<MachineSummary> {
  if (made === undefined) throw nothingMade('machine')
  return machineSummary(to, made, options)
}

function nothingMade(word: string): VcenterError {
  return new VcenterError('ERR_VCENTER_PROTOCOL', `vCenter made no ${word}`, { begun: true })
}
