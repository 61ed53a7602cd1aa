import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Daemon, startDaemon } from '../daemon.ts'
import { freeAddress, freePort } from '../loopback.ts'
import { asServer, isRoot, UNPRIVILEGED } from '../programs.ts'
import { newFolder } from '../template.ts'
import { authority, certify, type KeyPair } from './certificates.ts'
import { reportIssued } from './issued-secrets.ts'
import type { Program } from './program.ts'
import { type Ask, must, requests } from './requests.ts'

/** Where a server keeps its data: a folder of files, or raft's log and database. */
export type Storage = 'file' | 'raft'

/** A running, initialised and unsealed server, before anything is configured. */
export interface Server extends AsyncDisposable {
  readonly address: string
  /** The path of the PEM file of the certificate authority that its certificate is from. */
  readonly ca: string
  /** That authority, which also certifies clients. */
  readonly authority: KeyPair
  readonly rootToken: string
  readonly folder: string
  /** The audit file, with raw values. */
  readonly issuedFile: string
  readonly ask: Ask
  seal(): Promise<void>
  unseal(): Promise<void>
  pause(): void
  resume(): void
  kill(): Promise<void>
  halt(): Promise<void>
  restart(): Promise<void>
}

/** How long a server may take to become active once it is unsealed, in milliseconds. */
const PATIENCE = 20_000

/**
 * Starts a server with TLS at an address of its own. Started by root, it runs as `nobody`.
 * @throws Error where it does not start.
 */
export async function startServer(program: Program, storage: Storage): Promise<Server> {
  const folder = newFolder()
  const address = freeAddress()
  const [port, clusterPort] = [await freePort(address), await freePort(address)]
  const origin = `https://${address}:${port}`
  const data = join(folder, 'data')
  const audit = join(data, 'audit.json')
  const ca = await authority(folder, 'ca')
  const pair = await certify(ca, { folder, name: 'server', commonName: 'vault', purpose: { address } })
  const configuration = join(folder, 'server.json')
  mkdirSync(join(data, 'storage'), { recursive: true, mode: 0o700 })
  writeFileSync(
    configuration,
    JSON.stringify({
      api_addr: origin,
      cluster_addr: `https://${address}:${clusterPort}`,
      storage: storageOf(storage, join(data, 'storage'), address),
      listener: [
        {
          tcp: {
            address: `${address}:${port}`,
            cluster_address: `${address}:${clusterPort}`,
            tls_cert_file: pair.certificate,
            tls_key_file: pair.key,
          },
        },
      ],
      ...(program.kind === 'openbao'
        ? { audit: [{ file: { issued: { description: 'raw', options: { file_path: audit, log_raw: 'true' } } } }] }
        : { disable_mlock: true }),
      ui: false,
      log_level: 'warn',
    }),
  )
  if (isRoot())
    for (const path of [data, join(data, 'storage'), pair.key]) chownSync(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)

  let rootToken: string | undefined
  let key: string | undefined
  const ask = requests(origin, readFileSync(ca.certificate, 'utf8'), () => rootToken)
  const start = (): Promise<Daemon> =>
    startDaemon({
      command: serverCommand(program, configuration),
      env: { PATH: process.env['PATH'], TZ: 'UTC' },
      output: join(folder, 'server.out'),
      isReady: async () => (await statusOf(ask, 'sys/seal-status')) === 200,
    })
  const unseal = async (): Promise<void> => {
    await must(ask, 'PUT', 'sys/unseal', { key })
    const deadline = performance.now() + PATIENCE
    while ((await statusOf(ask, 'sys/health')) !== 200) {
      if (performance.now() > deadline) throw new Error(`the server did not become active in ${PATIENCE} ms`)
      await delay(10)
    }
  }
  let daemon: Daemon | undefined
  const halt = async (): Promise<void> => {
    await daemon?.stop()
    daemon = undefined
  }
  const kill = async (): Promise<void> => {
    daemon?.signal('SIGKILL')
    await halt()
  }
  const dispose = async (): Promise<void> => {
    await kill()
    if (existsSync(audit)) reportIssued(audit)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    daemon = await start()
    const first = (await must(ask, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })) as {
      keys: string[]
      root_token: string
    }
    key = first.keys[0]
    rootToken = first.root_token
    await unseal()
    if (program.kind === 'vault')
      await must(ask, 'PUT', 'sys/audit/issued', { type: 'file', options: { file_path: audit, log_raw: 'true' } })
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    address: origin,
    ca: ca.certificate,
    authority: ca,
    rootToken,
    folder,
    issuedFile: audit,
    ask,
    seal: async () => {
      await must(ask, 'PUT', 'sys/seal')
    },
    unseal,
    pause: () => daemon?.signal('SIGSTOP'),
    resume: () => daemon?.signal('SIGCONT'),
    kill,
    halt,
    restart: async () => {
      await halt()
      daemon = await start()
      await unseal()
    },
    [Symbol.asyncDispose]: dispose,
  }
}

function storageOf(kind: Storage, path: string, node: string): object {
  // The lowest multiplier: an election takes a second, not five.
  return kind === 'raft' ? { raft: { path, node_id: node, performance_multiplier: 1 } } : { file: { path } }
}

/**
 * The program is opened before the user changes, since that one may not go through the folders that lead to it, as
 * root's own.
 */
function serverCommand({ path }: Program, configuration: string): [string, ...string[]] {
  const args = ['server', `-config=${configuration}`]
  if (!isRoot() || !existsSync('/proc/self/fd')) return asServer([path, ...args])
  const command = asServer(['/proc/self/fd/9', ...args])
  return ['sh', '-c', 'exec 9<"$0" && exec "$@"', path, ...command]
}

async function statusOf(ask: Ask, path: string): Promise<number | undefined> {
  try {
    return (await ask('GET', path)).status
  } catch {
    return undefined
  }
}
