import { type Connection, instantOf, type Retrieved, retrieveOne } from './properties.ts'
import { type Ref, refOf } from './transport.ts'
import type { CallOptions, Snapshot } from './types.ts'
import { VcenterError } from './vcenter-error.ts'
import { all, child, textOf, type XmlElement } from './xml.ts'

/** The snapshots of a machine of which `snapshot` was asked for, each after its parent. */
export function snapshotsOf({ properties }: Retrieved): readonly Snapshot[] {
  const info = properties.get('snapshot')
  const current = refOf(child(info, 'currentSnapshot'))?.id
  const found: Snapshot[] = []
  const walk = (trees: readonly XmlElement[], parent: string | undefined): void => {
    for (const tree of trees) {
      const id = refOf(child(tree, 'snapshot'))?.id ?? ''
      found.push({
        id,
        name: textOf(tree, 'name') ?? '',
        description: textOf(tree, 'description') ?? '',
        createdAt: instantOf(textOf(tree, 'createTime')),
        current: id === current,
        parent,
      })
      walk(all(tree, 'childSnapshotList'), id)
    }
  }
  walk(all(info, 'rootSnapshotList'), undefined)
  return found
}

/** The snapshots of a machine. */
export async function listSnapshots(to: Connection, machine: Ref, options: CallOptions): Promise<readonly Snapshot[]> {
  return snapshotsOf(await retrieveOne(to, machine, ['snapshot'], options))
}

/** The snapshot of a machine with that id or name. */
export async function findSnapshot(to: Connection, machine: Ref, wanted: string, options: CallOptions): Promise<Ref> {
  const found = (await listSnapshots(to, machine, options)).filter(({ id, name }) => id === wanted || name === wanted)
  const [first, ...rest] = found
  if (first === undefined) throw new VcenterError('ERR_VCENTER_NOT_FOUND', 'there is no such snapshot')
  if (rest.length > 0)
    throw new VcenterError('ERR_VCENTER_AMBIGUOUS', 'there are several such snapshots: name one by its id')
  return { type: 'VirtualMachineSnapshot', id: first.id }
}
