import { type Answer, faultError, faultOf, type Ref, reference, refOf, returned, typed } from './transport.ts'
import type { CallOptions } from './types.ts'
import { VcenterError } from './vcenter-error.ts'
import { all, child, tag, textOf, type Xml, type XmlElement } from './xml.ts'

/** The managed objects of which there is one, as vCenter names them. */
export interface Content {
  readonly rootFolder: Ref
  readonly propertyCollector: Ref
  readonly viewManager: Ref
  readonly sessionManager: Ref
  readonly eventManager: Ref
}

/** What the parts of a session share. */
export interface Connection {
  readonly content: Content
  /** How long a task may take, in milliseconds. */
  readonly taskTimeout: number
  /** Calls a method in the session. */
  readonly call: (method: string, self: Ref, parts: readonly Xml[], options: CallOptions) => Promise<Answer>
}

/** An object, with those of the properties that were asked for that it has. */
export interface Retrieved {
  readonly ref: Ref
  readonly properties: ReadonlyMap<string, XmlElement>
}

/** Names of properties, by the type of the objects that have them. */
export type Paths = Readonly<Record<string, readonly string[]>>

/** All objects of the types that are below the root folder. */
export async function retrieveAll(to: Connection, paths: Paths, options: CallOptions): Promise<readonly Retrieved[]> {
  const { viewManager, rootFolder } = to.content
  const types = Object.keys(paths).map((type) => tag('type', type))
  const container = [reference('container', rootFolder), ...types, tag('recursive', true)]
  const view = refOf(returned(await to.call('CreateContainerView', viewManager, container, options))[0])
  if (view === undefined) throw new VcenterError('ERR_VCENTER_PROTOCOL', 'vCenter made no view')
  try {
    const objects = [tag('type', 'ContainerView'), tag('path', 'view'), tag('skip', false)]
    const from = [reference('obj', view), tag('skip', true), typed('selectSet', 'TraversalSpec', objects)]
    return await retrieve(to, paths, [tag('objectSet', from)], options)
  } finally {
    // Where it can't be destroyed now, it ends with the session.
    to.call('DestroyView', view, [], {}).catch(() => {})
  }
}

/** The objects named. One that is gone is a fault. */
export async function retrieveOf(
  to: Connection,
  refs: readonly Ref[],
  paths: readonly string[],
  options: CallOptions,
): Promise<readonly Retrieved[]> {
  const [first] = refs
  if (first === undefined) return []
  const objects = refs.map((ref) => tag('objectSet', [reference('obj', ref)]))
  return retrieve(to, { [first.type]: paths }, objects, options)
}

/** One object. */
export async function retrieveOne(
  to: Connection,
  ref: Ref,
  paths: readonly string[],
  options: CallOptions,
): Promise<Retrieved> {
  const [found] = await retrieveOf(to, [ref], paths, options)
  if (found === undefined) throw new VcenterError('ERR_VCENTER_NOT_FOUND', `there is no such ${ref.type}`)
  return found
}

async function retrieve(
  to: Connection,
  paths: Paths,
  objects: readonly Xml[],
  options: CallOptions,
): Promise<readonly Retrieved[]> {
  const collector = to.content.propertyCollector
  const properties = Object.entries(paths).map(([type, names]) =>
    tag('propSet', [tag('type', type), ...names.map((name) => tag('pathSet', name))]),
  )
  const query = [tag('specSet', [...properties, ...objects]), tag('options')]
  const found: Retrieved[] = []
  let [page] = returned(await to.call('RetrievePropertiesEx', collector, query, options))
  for (;;) {
    found.push(...all(page, 'objects').flatMap(retrievedOf))
    const token = textOf(page, 'token')
    if (token === undefined) return found
    ;[page] = returned(await to.call('ContinueRetrievePropertiesEx', collector, [tag('token', token)], options))
  }
}

function retrievedOf(element: XmlElement): readonly Retrieved[] {
  const ref = refOf(child(element, 'obj'))
  if (ref === undefined) return []
  // What a user may not read is left out. That nobody is logged in is told in the same way.
  const faults = all(element, 'missingSet').map((missing) => faultOf(child(child(missing, 'fault'), 'fault')))
  if (faults.includes('NotAuthenticated')) throw faultError('NotAuthenticated', 'RetrievePropertiesEx')
  const pairs = all(element, 'propSet').flatMap((property): [string, XmlElement][] => {
    const value = child(property, 'val')
    return value === undefined ? [] : [[textOf(property, 'name') ?? '', value]]
  })
  return [{ ref, properties: new Map(pairs) }]
}

/** The text of a property; `undefined` where there is none, or an empty one. */
export function text({ properties }: Retrieved, path: string): string | undefined {
  return properties.get(path)?.text || undefined
}

/** A property that is a number. */
export function number(object: Retrieved, path: string): number | undefined {
  const value = Number(text(object, path) ?? Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

/** Whether a property is true. */
export function flag(object: Retrieved, path: string): boolean {
  return text(object, path) === 'true'
}

/** A property that is an instant. */
export function instant(object: Retrieved, path: string): Date | undefined {
  return instantOf(text(object, path))
}

/** An instant as vCenter writes it. */
export function instantOf(value: string | undefined): Date | undefined {
  const at = new Date(value ?? Number.NaN)
  return Number.isNaN(at.getTime()) ? undefined : at
}

/** The objects that a property names. */
export function refs({ properties }: Retrieved, path: string): readonly Ref[] {
  const value = properties.get(path)
  const list = all(value, 'ManagedObjectReference')
  return (list.length > 0 ? list : [value]).map(refOf).filter((ref) => ref !== undefined)
}
