import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { authority, certify } from '../certificates.ts'
import { type Daemon, restartable, startDaemon } from '../daemon.ts'
import { accepts, freeAddress, freePort } from '../loopback.ts'
import { isRoot, programAsServer, run, UNPRIVILEGED } from '../programs.ts'
import { missingPackages } from '../required.ts'
import { newFolder } from '../template.ts'
import { findProgram } from './program.ts'

/** What {@link vcenter} takes. */
export interface VcenterOptions {
  /** Who may log in besides the administrator. Default: `alice` and `bob` at `vsphere.local`. */
  readonly users?: readonly string[] | undefined
  /** Clusters. Default: 1. */
  readonly clusters?: number | undefined
  /** Hosts of each cluster. Default: 2. */
  readonly hosts?: number | undefined
  /** Virtual machines of each cluster. They run. Default: 3. */
  readonly machines?: number | undefined
  /** Datastores. Default: 1. */
  readonly datastores?: number | undefined
  /** How long a session may be idle, in milliseconds; it ends within twice that. Default: it never ends by that. */
  readonly sessionTimeout?: number | undefined
  /** How long each task takes at least, in milliseconds. Default: 0. */
  readonly taskDelay?: number | undefined
}

/** Who logs in, and how. */
export interface Login {
  readonly username: string
  readonly password: string
}

/** Somebody who is logged in. */
export interface LoggedIn {
  /** What {@link VcenterLab.terminate} takes. It is a secret: the session's cookie has the same value. */
  readonly key: string
  readonly userName: string
  readonly loginAt: Date
}

/** An entry of vCenter's event log. */
export interface VcenterEvent {
  readonly key: number
  /** Its type, as `VmPoweredOnEvent`. */
  readonly type: string
  /** Whose session did it; empty for what was there at the start. */
  readonly userName: string
  readonly at: Date
  readonly message: string
}

/** A vCenter on loopback. */
export interface VcenterLab extends AsyncDisposable {
  /** `https://127.x.y.z:<port>` */
  readonly address: string
  /** The path of the PEM file of the certificate authority that its certificate is from. */
  readonly ca: string
  readonly administrator: Login
  /** By name. */
  readonly users: Readonly<Record<string, Login>>
  /** The throw-away folder with all that it holds. */
  readonly folder: string
  /** Who is logged in now, as vCenter says to an administrator, whose own session is not in it. Oldest first. */
  sessions(): Promise<readonly LoggedIn[]>
  /** The event log without what {@link sessions}, {@link events} and {@link terminate} themselves leave there. Oldest first. */
  events(): Promise<readonly VcenterEvent[]>
  /** An administrator ends a session. Rejects where there is none. */
  terminate(key: string): Promise<void>
  /** Gives an account a password, or with `undefined` removes it. Sessions go on. */
  setPassword(username: string, password: string | undefined): void
  /** Lets it hang: it accepts connections and answers nothing. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Ends it: connections are refused. */
  halt(): Promise<void>
  /** Starts it again at the same address, with the same accounts, and all else as it was at the start. */
  restart(): Promise<void>
  /** Ends it and removes the folder. */
  dispose(): Promise<void>
}

const PACKAGES = fileURLToPath(new URL('../../vsphere/debian.json', import.meta.url))
const NO_PROGRAM = 'missing: the simulator; "node scripts/setup.mjs" builds it'
const ADMINISTRATOR = 'administrator@vsphere.local'
/** Who {@link VcenterLab.sessions} and the others are in the event log. */
const OBSERVER = 'observer@vsphere.local'
const USERS = ['alice@vsphere.local', 'bob@vsphere.local']
const SIZES = ['clusters', 'hosts', 'machines', 'datastores'] as const

/**
 * A real server of the vSphere API, govmomi's simulator, with TLS and accounts that have passwords, in about a second.
 * Started by root, it runs as `nobody`. It ends with the process that started it, however that ends.
 * @throws Error where it is not built, or does not start.
 */
export async function vcenter(options: VcenterOptions = {}): Promise<VcenterLab> {
  const program = findProgram()
  if (program === undefined) throw new Error(`the server can't be started: ${NO_PROGRAM}`)
  const folder = newFolder()
  try {
    return await start(program, folder, options)
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

/** What the lab lacks on this machine, in sentences; nothing where all is there. */
export function missing(): readonly string[] {
  return [...missingPackages(PACKAGES), ...(findProgram() === undefined ? [NO_PROGRAM] : [])]
}

async function start(program: string, folder: string, options: VcenterOptions): Promise<VcenterLab> {
  const host = freeAddress()
  const port = await freePort(host)
  const address = `https://${host}:${port}`
  const ca = await authority(folder, 'ca')
  const purpose = { address: host }
  const { certificate, key } = await certify(ca, { folder, name: 'server', commonName: 'vcenter', purpose })
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  own(data)
  own(key)
  const accounts = accountsIn(join(data, 'accounts.json'))
  const login = (username: string): Login => ({ username, password: randomBytes(18).toString('base64url') })
  const [administrator, observer] = [login(ADMINISTRATOR), login(OBSERVER)]
  const users = (options.users ?? USERS).map(login)
  for (const { username, password } of [administrator, observer, ...users]) accounts.set(username, password)

  const begin = (): Promise<Daemon> =>
    startDaemon({
      command: programAsServer(program, [
        ...['-listen', `${host}:${port}`, '-certificate', certificate, '-key', key, '-accounts', accounts.path],
        ...SIZES.flatMap((size) => (options[size] === undefined ? [] : [`-${size}`, String(options[size])])),
        ...(options.taskDelay === undefined ? [] : ['-task-delay', String(options.taskDelay)]),
        ...(options.sessionTimeout === undefined ? [] : ['-session-timeout', `${options.sessionTimeout}ms`]),
      ]),
      // Where it puts the files of its datastores.
      env: { PATH: process.env['PATH'], TMPDIR: data },
      output: join(folder, 'vcenter.out'),
      isReady: () => accepts(host, port),
    })
  const ask = async (...question: readonly string[]): Promise<unknown> => {
    const command = [program, 'ask', '-address', `${address}/sdk`, '-ca', ca.certificate, ...question] as const
    const { status, stdout, stderr } = await run([...command], { input: JSON.stringify(observer) })
    if (status !== 0) throw new Error(`vCenter was not asked: ${stderr.trim()}`)
    return JSON.parse(stdout)
  }
  const { pause, resume, halt, restart } = await restartable(begin)
  const dispose = async (): Promise<void> => {
    await halt()
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    address,
    ca: ca.certificate,
    administrator,
    users: Object.fromEntries(users.map((user) => [user.username, user])),
    folder,
    sessions: async () => {
      const all = (await ask('sessions')) as readonly { key: string; userName: string; loginTime: string }[]
      return all
        .map(({ loginTime, ...rest }) => ({ ...rest, loginAt: new Date(loginTime) }))
        .sort((a, b) => a.loginAt.getTime() - b.loginAt.getTime())
    },
    events: async () => {
      const all = (await ask('events')) as readonly (Omit<VcenterEvent, 'at'> & { at: string })[]
      return all
        .filter(({ userName }) => userName !== OBSERVER)
        .map((event) => ({ ...event, at: new Date(event.at) }))
        .sort((a, b) => a.key - b.key)
    },
    terminate: async (session) => {
      await ask('terminate', session)
    },
    setPassword: accounts.set,
    pause,
    resume,
    halt,
    restart,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

/** The file with the passwords, which the server reads at each login. */
function accountsIn(path: string): {
  readonly path: string
  readonly set: (username: string, password: string | undefined) => void
} {
  const next = `${path}.next`
  let accounts: Readonly<Record<string, string | undefined>> = {}
  const set = (username: string, password: string | undefined): void => {
    accounts = { ...accounts, [username]: password }
    writeFileSync(next, JSON.stringify(accounts), { mode: 0o600 })
    own(next)
    renameSync(next, path)
  }
  return { path, set }
}

function own(path: string): void {
  if (isRoot()) chownSync(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
}
