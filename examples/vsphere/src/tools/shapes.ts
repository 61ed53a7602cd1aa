import { z } from 'zod'

/** What tools answer to programs. What vCenter does not tell is left out. */
const text = z.string().optional()
const number = z.number().optional()
const instant = z.string().describe('ISO 8601').optional()

/** How tools are told which machine. */
export const vm = z.string().min(1).max(255).describe('The name of the virtual machine, or its id such as vm-54')
export const host = z.string().min(1).max(255).describe('The name of the host, or its id such as host-21')

const machine = {
  id: z.string(),
  name: z.string(),
  power: z.enum(['on', 'off', 'suspended', 'unknown']),
  template: z.boolean(),
  host: text,
  guest: text,
  cpus: number,
  memoryMb: number,
}

export const machineSummary = z.object(machine)

export const snapshotShape = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  createdAt: instant,
  current: z.boolean(),
  parent: text,
})

export const machineShape = z.object({
  ...machine,
  annotation: text,
  uuid: text,
  ipAddress: text,
  hostName: text,
  tools: text,
  bootedAt: instant,
  snapshots: z.array(snapshotShape),
})

export const hostShape = z.object({
  id: z.string(),
  name: z.string(),
  connection: text,
  inMaintenance: z.boolean(),
  model: text,
  product: text,
  cores: number,
  cpuMhz: number,
  memoryBytes: number,
  machines: z.number(),
})

export const clusterShape = z.object({
  id: z.string(),
  name: z.string(),
  hosts: number,
  effectiveHosts: number,
  cpuMhz: number,
  memoryBytes: number,
})

export const datastoreShape = z.object({
  id: z.string(),
  name: z.string(),
  type: text,
  accessible: z.boolean(),
  capacityBytes: number,
  freeBytes: number,
})

export const networkShape = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  accessible: z.boolean(),
})

export const eventShape = z.object({
  id: z.number(),
  type: z.string(),
  userName: z.string(),
  at: instant,
  message: z.string(),
})

export const sessionShape = z.object({
  session: z.string().describe('What terminate_session takes'),
  userName: z.string(),
  ipAddress: text,
  userAgent: text,
  loginAt: instant,
  lastActiveAt: instant,
  own: z.boolean(),
})
