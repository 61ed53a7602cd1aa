import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { certify, type KeyPair } from '../certificates.ts'
import { type Daemon, restartable, startDaemon } from '../daemon.ts'
import { freeAddress, freePort } from '../loopback.ts'
import { isRoot, programAsServer, UNPRIVILEGED } from '../programs.ts'
import type { Program } from './program.ts'
import { type Ask, must, requests } from './requests.ts'

/** Where a server keeps its data: a folder of files, or raft's log and database. */
export type Storage = 'file' | 'raft'

/** One process of a server, with TLS at an address of its own. */
export interface Node {
  /** `https://127.x.y.z:<port>` */
  readonly address: string
  /** The server's audit file, with raw values. */
  readonly issuedFile: string
  /** Asks this process, as root once the server is initialised. */
  readonly ask: Ask
  /** Unseals it, and waits until it answers requests: as the active one, or as a standby of that. */
  unseal(): Promise<void>
  /** Lets it hang: it accepts connections and answers nothing. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>
  /** Ends it in order: connections are refused. */
  halt(): Promise<void>
  /** Starts it again and unseals it: same address, same storage. */
  restart(): Promise<void>
}

/** What initialising a server gives, and its processes share. */
export interface Keys {
  rootToken?: string
  unsealKey?: string
}

/** How {@link startNode} starts a process. */
export interface NodeOptions {
  readonly program: Program
  readonly storage: Storage
  /** The folder that the processes of a server share. */
  readonly folder: string
  /** Its name, also that of its files in the folder. */
  readonly name: string
  readonly authority: KeyPair
  readonly keys: Keys
}

/** How long a server may take to answer requests once it is unsealed, in milliseconds. */
const PATIENCE = 20_000

/** Starts a process that is not initialised. Started by root, it runs as `nobody`. */
export async function startNode({ program, storage, folder, name, authority, keys }: NodeOptions): Promise<Node> {
  const host = freeAddress()
  const [port, clusterPort] = [await freePort(host), await freePort(host)]
  const address = `https://${host}:${port}`
  const data = join(folder, name)
  // All processes of a server must have the same file, and add lines to it.
  const audit = join(folder, 'audit', 'issued.json')
  const { certificate, key } = await certify(authority, {
    folder,
    name,
    commonName: 'vault',
    purpose: { address: host },
  })
  const path = join(data, 'storage')
  for (const made of [path, dirname(audit)]) mkdirSync(made, { recursive: true, mode: 0o700 })
  const configuration = join(folder, `${name}.json`)
  writeFileSync(
    configuration,
    JSON.stringify({
      api_addr: address,
      cluster_addr: `https://${host}:${clusterPort}`,
      storage: storageOf(storage, path, name),
      listener: [
        {
          tcp: {
            address: `${host}:${port}`,
            cluster_address: `${host}:${clusterPort}`,
            tls_cert_file: certificate,
            tls_key_file: key,
          },
        },
      ],
      ...(program.kind === 'openbao' ? { audit: [{ file: { issued: auditOf(audit) } }] } : { disable_mlock: true }),
      ui: false,
      log_level: 'warn',
    }),
  )
  if (isRoot())
    for (const owned of [data, path, dirname(audit), key]) chownSync(owned, UNPRIVILEGED.uid, UNPRIVILEGED.gid)

  const ask = requests(address, readFileSync(authority.certificate, 'utf8'), () => keys.rootToken)
  const start = (): Promise<Daemon> =>
    startDaemon({
      command: programAsServer(program.path, ['server', `-config=${configuration}`]),
      env: { PATH: process.env['PATH'], TZ: 'UTC' },
      output: join(folder, `${name}.out`),
      isReady: async () => (await statusOf(ask, 'sys/seal-status')) === 200,
    })
  const unseal = async (): Promise<void> => {
    await must(ask, 'PUT', 'sys/unseal', { key: keys.unsealKey })
    const deadline = performance.now() + PATIENCE
    while (!(await answersRequests(ask, address))) {
      if (performance.now() > deadline) throw new Error(`the server did not become active in ${PATIENCE} ms`)
      await delay(10)
    }
  }
  const { signal, pause, resume, halt, restart } = await restartable(start)
  return {
    address,
    issuedFile: audit,
    ask,
    unseal,
    pause,
    resume,
    kill: async () => {
      signal('SIGKILL')
      await halt()
    },
    halt,
    restart: async () => {
      await restart()
      await unseal()
    },
  }
}

/** Initialises the server that `node` is of, with one key. */
export async function initialise({ ask, unseal, issuedFile }: Node, program: Program, keys: Keys): Promise<string> {
  const first = await must(ask, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })
  const { keys: parts, root_token: rootToken } = first as { keys: [string]; root_token: string }
  keys.unsealKey = parts[0]
  keys.rootToken = rootToken
  await unseal()
  // What Vault does not take from its configuration file.
  if (program.kind === 'vault') await must(ask, 'PUT', 'sys/audit/issued', { type: 'file', ...auditOf(issuedFile) })
  return rootToken
}

/** Without a description, which nothing needs, the parser of the configuration file takes the options for the device. */
function auditOf(path: string): object {
  return { description: 'raw values', options: { file_path: path, log_raw: 'true' } }
}

function storageOf(kind: Storage, path: string, name: string): object {
  if (kind === 'file') return { file: { path } }
  // An election takes a second, not five, and who joins has a vote at once, not after ten.
  const hurry = { performance_multiplier: 1, autopilot_reconcile_interval: '200ms', autopilot_update_interval: '100ms' }
  return { raft: { path, node_id: name, ...hurry } }
}

/**
 * Whether it is active or a standby of another, and answers. Raft begins as a standby of nobody, and fails requests for a
 * moment after its health is good, since it can't write what the audit needs.
 */
async function answersRequests(ask: Ask, address: string): Promise<boolean> {
  const health = await statusOf(ask, 'sys/health')
  if (health === 429) {
    const { leader_address: leader } = (await must(ask, 'GET', 'sys/leader')) as { leader_address?: string }
    if (leader === undefined || leader === '' || leader === address) return false
  } else if (health !== 200) return false
  return (await statusOf(ask, 'auth/token/lookup-self')) === 200
}

async function statusOf(ask: Ask, path: string): Promise<number | undefined> {
  try {
    return (await ask('GET', path)).status
  } catch {
    return undefined
  }
}
