import type {
  Cluster,
  Datastore,
  EventEntry,
  Host,
  Machine,
  MachineSummary,
  Network,
  Snapshot,
} from '../vcenter/index.ts'

/** Each thing in a line, for people and models to read; a sentence where there is none. */
export function lines<Thing>(things: readonly Thing[], line: (thing: Thing) => string, none: string): string {
  return things.length === 0 ? none : things.map(line).join('\n')
}

export function machineLine({ id, name, power, template, host, cpus, memoryMb }: MachineSummary): string {
  const where = host === undefined ? '' : `, on host ${host}`
  return `${name} (${id}): ${template ? 'template' : power}, ${cpus ?? '?'} CPUs, ${memoryMb ?? '?'} MB${where}`
}

export function machineText(machine: Machine): string {
  const { guest, hostName, ipAddress, tools, bootedAt, annotation, snapshots } = machine
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['guest', guest],
    ['host name', hostName],
    ['IP address', ipAddress],
    ['VMware Tools', tools],
    ['booted', bootedAt?.toISOString()],
    ['notes', annotation === '' ? undefined : annotation],
  ]
  const known = facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name}: ${value}`]))
  const kept = snapshots.map((snapshot) => `  snapshot: ${snapshotLine(snapshot)}`)
  return [machineLine(machine), ...known, ...kept].join('\n')
}

export function snapshotLine({ id, name, description, createdAt, current }: Snapshot): string {
  const said = description === '' ? '' : `: ${description}`
  const since = createdAt === undefined ? '' : ` of ${createdAt.toISOString()}`
  return `${name} (${id})${since}${current ? ', the current one' : ''}${said}`
}

export function hostLine({ id, name, connection, inMaintenance, machines, cores, memoryBytes }: Host): string {
  const state = inMaintenance ? 'in maintenance mode' : (connection ?? 'state unknown')
  return `${name} (${id}): ${state}, ${machines} machines, ${cores ?? '?'} cores, ${gigabytes(memoryBytes)} memory`
}

export function clusterLine({ id, name, hosts, effectiveHosts, cpuMhz, memoryBytes }: Cluster): string {
  const usable = `${effectiveHosts ?? '?'} of ${hosts ?? '?'} hosts usable`
  return `${name} (${id}): ${usable}, ${cpuMhz ?? '?'} MHz, ${gigabytes(memoryBytes)} memory`
}

export function datastoreLine({ id, name, type, accessible, capacityBytes, freeBytes }: Datastore): string {
  const state = accessible ? '' : ', not accessible'
  return `${name} (${id}): ${type ?? 'type unknown'}, ${gigabytes(freeBytes)} of ${gigabytes(capacityBytes)} free${state}`
}

export function networkLine({ id, name, type, accessible }: Network): string {
  return `${name} (${id}): ${type}${accessible ? '' : ', not accessible'}`
}

export function eventLine({ at, userName, type, message }: EventEntry): string {
  return `${at?.toISOString() ?? '?'} ${userName === '' ? '-' : userName} ${type}: ${message}`
}

function gigabytes(bytes: number | undefined): string {
  return bytes === undefined ? '?' : `${(bytes / 2 ** 30).toFixed(1)} GB`
}
