import * as administration from './administration.ts'
import * as inventory from './inventory.ts'
import * as machines from './machines.ts'
import { type Connection, type Content, instantOf } from './properties.ts'
import { listSnapshots } from './snapshots.ts'
import { type Ref, refOf, returned, type Send, transport } from './transport.ts'
import type { CallOptions, Vcenter, VcenterOptions, VcenterSession } from './types.ts'
import { isNotAuthenticated, VcenterError } from './vcenter-error.ts'
import { child, tags, textOf } from './xml.ts'

/** The one object whose id is known beforehand. */
const SERVICE: Ref = { type: 'ServiceInstance', id: 'ServiceInstance' }
const OPTIONS = ['url', 'ca', 'timeout', 'taskTimeout']
const [TIMEOUT, TASK_TIMEOUT] = [30_000, 5 * 60_000]

/**
 * A client of one vCenter, by the SOAP interface of its API, which every release has.
 * @throws TypeError for options that can't be right.
 */
export function vcenter(options: VcenterOptions): Vcenter {
  const { ca, taskTimeout = TASK_TIMEOUT, timeout = TIMEOUT } = options
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name))
  if (unknown !== undefined) throw new TypeError(`"${unknown}" is no option`)
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '')
    throw new TypeError('"url" must be an https: URL without a user')
  for (const [name, value] of Object.entries({ timeout, taskTimeout }))
    if (!Number.isInteger(value) || value < 1 || value >= 2 ** 31)
      throw new TypeError(`"${name}" must be a whole number of milliseconds`)
  const { send, close } = transport({ url, ca, timeout })
  const open = async (userName: string, password: string): Promise<VcenterSession> => {
    const content = await contentOf(send)
    const answer = await send('Login', content.sessionManager, tags({ userName, password }), {})
    const [session] = returned(answer)
    const [key, name] = [textOf(session, 'key'), textOf(session, 'userName')]
    if (answer.cookie === undefined || key === undefined || name === undefined)
      throw new VcenterError('ERR_VCENTER_PROTOCOL', 'vCenter opened no session')
    return sessionOf({ send, content, taskTimeout, cookie: answer.cookie, key, userName: name })
  }
  return {
    login: (userName, password, { signal } = {}) => {
      return orAbandon(open(userName, password), signal)
    },
    close,
  }
}

/** What opens, unless the signal aborts first: then a session that opens nevertheless is ended. */
function orAbandon(opening: Promise<VcenterSession>, signal: AbortSignal | undefined): Promise<VcenterSession> {
  return new Promise((resolve, reject) => {
    const abandon = (): void => {
      reject(signal?.reason)
      opening.then((session) => session.logout()).catch(() => {})
    }
    if (signal?.aborted) return abandon()
    signal?.addEventListener('abort', abandon, { once: true })
    opening.then(resolve, reject).finally(() => signal?.removeEventListener('abort', abandon))
  })
}

async function contentOf(send: Send): Promise<Content> {
  const [found] = returned(await send('RetrieveServiceContent', SERVICE, [], {}))
  const ref = (name: string): Ref => {
    const known = refOf(child(found, name))
    if (known === undefined) throw new VcenterError('ERR_VCENTER_PROTOCOL', `the server has no ${name}`)
    return known
  }
  return {
    rootFolder: ref('rootFolder'),
    propertyCollector: ref('propertyCollector'),
    viewManager: ref('viewManager'),
    sessionManager: ref('sessionManager'),
    eventManager: ref('eventManager'),
  }
}

interface Opened {
  readonly send: Send
  readonly content: Content
  readonly taskTimeout: number
  readonly cookie: string
  readonly key: string
  readonly userName: string
}

function sessionOf({ send, content, taskTimeout, cookie, key, userName }: Opened): VcenterSession {
  let isOver = false
  const call: Connection['call'] = async (method, self, parts, { signal }) => {
    if (isOver) throw new VcenterError('ERR_VCENTER_NOT_AUTHENTICATED', 'the session is over')
    try {
      return await send(method, self, parts, { cookie, signal })
    } catch (error) {
      if (isNotAuthenticated(error)) isOver = true
      throw error
    }
  }
  const to: Connection = { content, taskTimeout, call }
  const snapshots = async (machine: string, options: CallOptions) =>
    listSnapshots(to, await inventory.find(to, 'VirtualMachine', machine, options), options)
  const session = {
    userName,
    logout: async (options: CallOptions = {}) => {
      if (isOver) return
      await call('Logout', content.sessionManager, [], options).catch((error) => {
        if (!isNotAuthenticated(error)) throw error
      })
      isOver = true
    },
    currentTime: async (options: CallOptions = {}) => {
      const at = instantOf(returned(await call('CurrentTime', SERVICE, [], options))[0]?.text)
      if (at === undefined) throw new VcenterError('ERR_VCENTER_PROTOCOL', 'vCenter has no clock')
      return at
    },
    listMachines: (options = {}) => inventory.listMachines(to, options),
    listHosts: (options = {}) => inventory.listHosts(to, options),
    listDatastores: (options = {}) => inventory.listDatastores(to, options),
    listClusters: (options = {}) => inventory.listClusters(to, options),
    listNetworks: (options = {}) => inventory.listNetworks(to, options),
    machine: (machine, options = {}) => inventory.inspectMachine(to, machine, options),
    host: (host, options = {}) => inventory.inspectHost(to, host, options),
    power: (machine, operation, options = {}) => machines.power(to, machine, operation, options),
    listSnapshots: (machine, options = {}) => snapshots(machine, options),
    createSnapshot: (machine, snapshot, options = {}) => machines.createSnapshot(to, machine, snapshot, options),
    revertToSnapshot: (machine, snapshot, options = {}) => machines.revertToSnapshot(to, machine, snapshot, options),
    removeSnapshot: (machine, snapshot, options = {}) => machines.removeSnapshot(to, machine, snapshot, options),
    createMachine: (machine, options = {}) => machines.createMachine(to, machine, options),
    cloneMachine: (machine, name, options = {}) => machines.cloneMachine(to, machine, name, options),
    deleteMachine: (machine, options = {}) => machines.deleteMachine(to, machine, options),
    reconfigureMachine: (machine, change, options = {}) => machines.reconfigureMachine(to, machine, change, options),
    enterMaintenance: (host, options = {}) => administration.enterMaintenance(to, host, options),
    exitMaintenance: (host, options = {}) => administration.exitMaintenance(to, host, options),
    listSessions: (options = {}) => administration.listSessions(to, key, options),
    terminateSession: (other, options = {}) => administration.terminateSession(to, other, options),
    listEvents: (options = {}) => administration.listEvents(to, options),
  } satisfies Omit<VcenterSession, 'key'>
  return administration.withKey(session, key)
}
