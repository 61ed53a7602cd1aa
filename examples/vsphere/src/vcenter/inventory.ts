import {
  type Connection,
  flag,
  instant,
  number,
  type Retrieved,
  refs,
  retrieveAll,
  retrieveOf,
  retrieveOne,
  text,
} from './properties.ts'
import { snapshotsOf } from './snapshots.ts'
import type { Ref } from './transport.ts'
import type { CallOptions, Cluster, Datastore, Host, Machine, MachineSummary, Network, PowerState } from './types.ts'
import { VcenterError } from './vcenter-error.ts'

/** The types of what is found by its name, in words. */
const WORDS = {
  VirtualMachine: 'machine',
  HostSystem: 'host',
  ClusterComputeResource: 'cluster',
  Datastore: 'datastore',
}
const POWER: Readonly<Record<string, PowerState>> = { poweredOn: 'on', poweredOff: 'off', suspended: 'suspended' }

const SUMMARY = [
  'name',
  'runtime.powerState',
  'runtime.host',
  'config.template',
  'summary.config.guestFullName',
  'summary.config.numCpu',
  'summary.config.memorySizeMB',
]
const DETAILS = [
  ...SUMMARY,
  'summary.config.annotation',
  'summary.config.uuid',
  'guest.ipAddress',
  'guest.hostName',
  'guest.toolsRunningStatus',
  'runtime.bootTime',
  'snapshot',
]
const HOST = [
  'name',
  'runtime.connectionState',
  'runtime.inMaintenanceMode',
  'hardware.systemInfo.model',
  'config.product.fullName',
  'summary.hardware.numCpuCores',
  'summary.hardware.cpuMhz',
  'summary.hardware.memorySize',
  'vm',
]
const DATASTORE = ['name', 'summary.type', 'summary.accessible', 'summary.capacity', 'summary.freeSpace']
const CLUSTER = ['name', 'summary.numHosts', 'summary.numEffectiveHosts', 'summary.totalCpu', 'summary.totalMemory']
const NETWORK = ['name', 'summary.accessible']

/** The object of that type with that id or name. */
export async function find(
  to: Connection,
  type: keyof typeof WORDS,
  wanted: string,
  options: CallOptions,
): Promise<Ref> {
  const all = await retrieveAll(to, { [type]: ['name'] }, options)
  return only(
    all.filter((one) => one.ref.id === wanted || text(one, 'name') === wanted),
    WORDS[type],
  )
}

/** The one that there is. */
export function only(found: readonly Retrieved[], word: string): Ref {
  const [first, ...rest] = found
  if (first === undefined) throw new VcenterError('ERR_VCENTER_NOT_FOUND', `there is no such ${word}`)
  if (rest.length > 0)
    throw new VcenterError('ERR_VCENTER_AMBIGUOUS', `there are several such ${word}s: name one by its id`)
  return first.ref
}

export async function listMachines(to: Connection, options: CallOptions): Promise<readonly MachineSummary[]> {
  const found = await retrieveAll(to, { VirtualMachine: SUMMARY, HostSystem: ['name'] }, options)
  const hosts = new Map(found.map((one) => [one.ref.id, text(one, 'name')]))
  return found.filter(({ ref }) => ref.type === 'VirtualMachine').map((one) => summaryOf(one, hosts))
}

/** One machine in short. */
export async function machineSummary(to: Connection, ref: Ref, options: CallOptions): Promise<MachineSummary> {
  const [found, hosts] = await withHost(to, ref, SUMMARY, options)
  return summaryOf(found, hosts)
}

export async function inspectMachine(to: Connection, wanted: string, options: CallOptions): Promise<Machine> {
  const ref = await find(to, 'VirtualMachine', wanted, options)
  const [found, hosts] = await withHost(to, ref, DETAILS, options)
  return {
    ...summaryOf(found, hosts),
    annotation: text(found, 'summary.config.annotation'),
    uuid: text(found, 'summary.config.uuid'),
    ipAddress: text(found, 'guest.ipAddress'),
    hostName: text(found, 'guest.hostName'),
    tools: text(found, 'guest.toolsRunningStatus'),
    bootedAt: instant(found, 'runtime.bootTime'),
    snapshots: snapshotsOf(found),
  }
}

export async function listHosts(to: Connection, options: CallOptions): Promise<readonly Host[]> {
  return (await retrieveAll(to, { HostSystem: HOST }, options)).map(hostOf)
}

export async function inspectHost(to: Connection, wanted: string, options: CallOptions): Promise<Host> {
  return hostOf(await retrieveOne(to, await find(to, 'HostSystem', wanted, options), HOST, options))
}

export async function listDatastores(to: Connection, options: CallOptions): Promise<readonly Datastore[]> {
  return (await retrieveAll(to, { Datastore: DATASTORE }, options)).map((one) => ({
    id: one.ref.id,
    name: nameOf(one),
    type: text(one, 'summary.type'),
    accessible: flag(one, 'summary.accessible'),
    capacityBytes: number(one, 'summary.capacity'),
    freeBytes: number(one, 'summary.freeSpace'),
  }))
}

export async function listClusters(to: Connection, options: CallOptions): Promise<readonly Cluster[]> {
  return (await retrieveAll(to, { ClusterComputeResource: CLUSTER }, options)).map((one) => ({
    id: one.ref.id,
    name: nameOf(one),
    hosts: number(one, 'summary.numHosts'),
    effectiveHosts: number(one, 'summary.numEffectiveHosts'),
    cpuMhz: number(one, 'summary.totalCpu'),
    memoryBytes: number(one, 'summary.totalMemory'),
  }))
}

export async function listNetworks(to: Connection, options: CallOptions): Promise<readonly Network[]> {
  return (await retrieveAll(to, { Network: NETWORK }, options)).map((one) => ({
    id: one.ref.id,
    name: nameOf(one),
    type: one.ref.type,
    accessible: flag(one, 'summary.accessible'),
  }))
}

type Hosts = ReadonlyMap<string, string | undefined>

async function withHost(
  to: Connection,
  ref: Ref,
  paths: readonly string[],
  options: CallOptions,
): Promise<[Retrieved, Hosts]> {
  const found = await retrieveOne(to, ref, paths, options)
  const hosts = await retrieveOf(to, refs(found, 'runtime.host'), ['name'], options)
  return [found, new Map(hosts.map((host) => [host.ref.id, text(host, 'name')]))]
}

function summaryOf(one: Retrieved, hosts: Hosts): MachineSummary {
  const [host] = refs(one, 'runtime.host')
  return {
    id: one.ref.id,
    name: nameOf(one),
    power: POWER[text(one, 'runtime.powerState') ?? ''] ?? 'unknown',
    template: flag(one, 'config.template'),
    host: host === undefined ? undefined : hosts.get(host.id),
    guest: text(one, 'summary.config.guestFullName'),
    cpus: number(one, 'summary.config.numCpu'),
    memoryMb: number(one, 'summary.config.memorySizeMB'),
  }
}

function hostOf(one: Retrieved): Host {
  return {
    id: one.ref.id,
    name: nameOf(one),
    connection: text(one, 'runtime.connectionState'),
    inMaintenance: flag(one, 'runtime.inMaintenanceMode'),
    model: text(one, 'hardware.systemInfo.model'),
    product: text(one, 'config.product.fullName'),
    cores: number(one, 'summary.hardware.numCpuCores'),
    cpuMhz: number(one, 'summary.hardware.cpuMhz'),
    memoryBytes: number(one, 'summary.hardware.memorySize'),
    machines: refs(one, 'vm').length,
  }
}

function nameOf(one: Retrieved): string {
  return text(one, 'name') ?? ''
}
