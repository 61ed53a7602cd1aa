import { fileURLToPath } from 'node:url'
import { missingPackages } from '../required.ts'
import { startCluster } from './cluster.ts'
import { externalServer, useServer } from './external-server.ts'
import { type Lab, type LabOptions, startLab } from './lab.ts'
import type { Node, Storage } from './node.ts'
import { findProgram, type Program } from './program.ts'
import { startServer } from './server.ts'

/** What {@link vault} takes. */
export interface VaultOptions extends LabOptions {
  /** Default: `file`, which starts two seconds faster than `raft`. */
  readonly storage?: Storage | undefined
}

/** A real OpenBao (or Vault) on loopback, with TLS, initialised, unsealed and configured. */
export interface VaultLab extends Lab {
  /** `https://127.x.y.z:<port>` */
  readonly address: string
  /** What the server was asked and answered, a JSON object in each line, secrets included. */
  readonly issuedFile: string
  seal(): Promise<void>
  unseal(): Promise<void>
  /** Lets the server hang: it accepts connections and answers nothing. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Ends the server as `kill -9` does. */
  kill(): Promise<void>
  /** Ends the server in order: connections are refused. */
  halt(): Promise<void>
  /** Starts it again and unseals it: same address, same storage. */
  restart(): Promise<void>
}

/** The same of three processes with raft storage, of which one is active. */
export interface VaultCluster extends Lab {
  readonly nodes: readonly Node[]
  /** The active one; waits while there is none. */
  leader(): Promise<Node>
}

const PACKAGES = fileURLToPath(new URL('../../vault/debian.json', import.meta.url))
const NO_PROGRAM = 'missing: a "bao" or "vault" on PATH; "node scripts/setup.mjs" brings one'

/**
 * Starts a server and configures it: the roles `user` (JWT) and `server` (AppRole, TLS certificate), their policies, and
 * the engines of {@link Lab.mounts}. Started by root, it runs as `nobody`. It ends with the process that started it. With
 * VAULT_ADDR (of this machine) and VAULT_TOKEN in the environment it is the one there instead, with all mounts below a
 * random prefix, which are removed at the end.
 * @throws Error where the machine has no server, and where it does not start.
 */
export async function vault(options: VaultOptions = {}): Promise<VaultLab> {
  const external = externalServer()
  if (external !== undefined) return startLab(() => useServer(external), options, true)
  return startLab(async () => startServer(program(), options.storage ?? 'file'), options)
}

/**
 * Starts three processes of a server, in about five seconds, and configures it as {@link vault} does.
 * @throws Error where the machine has no server, and where it does not start.
 */
export async function vaultCluster(options: LabOptions = {}): Promise<VaultCluster> {
  return startLab(async () => startCluster(program()), options)
}

function program(): Program {
  const found = findProgram()
  if (found === undefined) throw new Error(`the server can't be started: ${NO_PROGRAM}`)
  return found
}

/** What the lab lacks on this machine, in sentences; nothing where all is there. */
export function missing(): readonly string[] {
  const server = externalServer() ?? findProgram()
  return [...missingPackages(PACKAGES), ...(server === undefined ? [NO_PROGRAM] : [])]
}

/** Why the server can't be stopped, sealed and paused here, in sentences; nothing where it can. */
export function unstoppableBecause(): readonly string[] {
  return externalServer() === undefined ? [] : ["the server at VAULT_ADDR is not the lab's to stop"]
}
