import { z } from 'zod'
import { machineSummary, snapshotShape, vm } from './shapes.ts'
import { CHANGES, DESTROYS, type Tool, tool } from './tool.ts'
import { machineLine, snapshotLine } from './words.ts'

const newName = z.string().min(1).max(80).describe('What it is to be called')
const cpus = z.number().int().min(1).max(128).describe('Number of virtual CPUs')
const memoryMb = z.number().int().min(4).max(1_048_576).multipleOf(4).describe('Memory in MB, a multiple of 4')
const snapshot = z.string().min(1).max(255).describe('The name of the snapshot, or its id such as snapshot-71')

/** What is left of something that is gone. */
const gone = z.object({ vm: z.string(), removed: z.string() })

/** What those may do who look after machines. */
export const lifecycle: readonly Tool[] = [
  tool('create_vm', {
    title: 'Create a virtual machine',
    description:
      'Creates a virtual machine without disks, which is off. Cluster and datastore may be left out where there is only one.',
    input: z.object({
      name: newName,
      cpus: cpus.default(1),
      memory_mb: memoryMb.default(1024),
      cluster: z.string().max(255).describe('Name or id of the cluster').optional(),
      datastore: z.string().max(255).describe('Name or id of the datastore').optional(),
      guest_id: z.string().max(64).describe("vCenter's name of the operating system, as otherLinux64Guest").optional(),
      notes: z.string().max(1024).describe('Why it is there').optional(),
    }),
    output: machineSummary,
    annotations: CHANGES,
    async run({ memory_mb, guest_id, notes, ...rest }, { vcenter }) {
      const wanted = { ...rest, memoryMb: memory_mb, guestId: guest_id, annotation: notes }
      const made = await vcenter((session, options) => session.createMachine(wanted, options))
      return { text: `Created: ${machineLine(made)}`, data: made }
    },
  }),
  tool('clone_vm', {
    title: 'Clone a virtual machine',
    description: 'Copies a virtual machine with its disks. The copy is off, and lies beside the original.',
    input: z.object({ vm, name: newName }),
    output: machineSummary,
    annotations: CHANGES,
    async run({ vm: machine, name }, { vcenter }) {
      const made = await vcenter((session, options) => session.cloneMachine(machine, name, options))
      return { text: `Cloned: ${machineLine(made)}`, data: made }
    },
  }),
  tool('reconfigure_vm', {
    title: 'Change the size of a virtual machine',
    description: 'Changes CPUs and memory of a virtual machine. Most guests need to be off for it.',
    input: z.object({ vm, cpus: cpus.optional(), memory_mb: memoryMb.optional() }),
    output: machineSummary,
    annotations: CHANGES,
    async run({ vm: machine, cpus: count, memory_mb }, { vcenter }) {
      const change = { cpus: count, memoryMb: memory_mb }
      const changed = await vcenter((session, options) => session.reconfigureMachine(machine, change, options))
      return { text: `Changed: ${machineLine(changed)}`, data: changed }
    },
  }),
  tool('rename_vm', {
    title: 'Rename a virtual machine',
    description: 'Gives a virtual machine another name. Its files keep theirs.',
    input: z.object({ vm, name: newName }),
    output: machineSummary,
    annotations: CHANGES,
    async run({ vm: machine, name }, { vcenter }) {
      const changed = await vcenter((session, options) => session.reconfigureMachine(machine, { name }, options))
      return { text: `Renamed: ${machineLine(changed)}`, data: changed }
    },
  }),
  tool('delete_vm', {
    title: 'Delete a virtual machine',
    description: 'Deletes a virtual machine with its disks, for good. It must be off.',
    input: z.object({ vm }),
    output: gone,
    annotations: DESTROYS,
    async run({ vm: machine }, { vcenter }) {
      await vcenter((session, options) => session.deleteMachine(machine, options))
      return { text: `${machine} is deleted.`, data: { vm: machine, removed: machine } }
    },
  }),
  tool('create_snapshot', {
    title: 'Take a snapshot',
    description: 'Takes a snapshot of a virtual machine, to come back to with revert_to_snapshot.',
    input: z.object({
      vm,
      name: newName,
      description: z.string().max(1024).describe('What it is for').optional(),
      memory: z.boolean().describe("Whether to keep a running machine's memory, too").default(false),
    }),
    output: snapshotShape,
    annotations: CHANGES,
    async run({ vm: machine, ...wanted }, { vcenter }) {
      const taken = await vcenter((session, options) => session.createSnapshot(machine, wanted, options))
      return { text: `Taken: ${snapshotLine(taken)}`, data: taken }
    },
  }),
  tool('revert_to_snapshot', {
    title: 'Revert to a snapshot',
    description: 'Puts a virtual machine back to a snapshot. What was not in one is lost.',
    input: z.object({ vm, snapshot }),
    output: z.object({ vm: z.string(), snapshot: z.string() }),
    annotations: DESTROYS,
    async run({ vm: machine, snapshot: wanted }, { vcenter }) {
      await vcenter((session, options) => session.revertToSnapshot(machine, wanted, options))
      return { text: `${machine} is as it was at ${wanted}.`, data: { vm: machine, snapshot: wanted } }
    },
  }),
  tool('delete_snapshot', {
    title: 'Remove a snapshot',
    description: 'Removes one snapshot of a virtual machine; those based on it are kept.',
    input: z.object({ vm, snapshot }),
    output: gone,
    annotations: DESTROYS,
    async run({ vm: machine, snapshot: wanted }, { vcenter }) {
      await vcenter((session, options) => session.removeSnapshot(machine, wanted, options))
      return { text: `${wanted} of ${machine} is removed.`, data: { vm: machine, removed: wanted } }
    },
  }),
]
