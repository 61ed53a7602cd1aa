import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type OpenLdap, openLdap } from '../open-ldap/index.ts'
import { type PostgreSql, postgresql } from '../postgresql/index.ts'
import { missingPackages } from '../required.ts'
import { type TokenIssuer, tokenIssuer } from '../token-issuer/index.ts'
import { configureDatabase, configureLdap } from './backends.ts'
import { certify, type KeyPair } from './certificates.ts'
import { configure, type Policies, unconfigure } from './configuration.ts'
import { externalServer, useServer } from './external-server.ts'
import { accessorsBelow, leasesBelow } from './inventory.ts'
import { type Mounts, mountsBelow } from './mounts.ts'
import { findProgram } from './program.ts'
import { type Answer, must, type RequestOptions } from './requests.ts'
import { type Server, type Storage, startServer } from './server.ts'

const PACKAGES = fileURLToPath(new URL('../../vault/debian.json', import.meta.url))

/** What {@link vault} takes. */
export interface VaultOptions {
  /** Default: `file`, which starts two seconds faster than `raft`. */
  readonly storage?: Storage | undefined
  /** How long the token of a login lives without renewal, in milliseconds. Default: 15 minutes. */
  readonly tokenTtl?: number | undefined
  /** How long it lives with renewals, in milliseconds. Default: an hour, or `tokenTtl` where that is longer. */
  readonly tokenMaxTtl?: number | undefined
  /** Whether the database engine gets a PostgreSQL. Default: no. */
  readonly postgresql?: boolean | undefined
  /** Whether the LDAP engine gets an OpenLDAP. Default: no. */
  readonly ldap?: boolean | undefined
}

/** A real OpenBao (or Vault) on loopback, with TLS, initialised, unsealed and configured. */
export interface VaultLab extends AsyncDisposable {
  /** `https://127.x.y.z:<port>` */
  readonly address: string
  /** The path of the PEM file of the certificate authority that its certificate is from. */
  readonly ca: string
  readonly rootToken: string
  /** A throw-away folder of the lab. */
  readonly folder: string
  readonly mounts: Mounts
  readonly policies: Policies
  /** The accessor of the JWT mount, for policies that name the user. */
  readonly jwtAccessor: string
  /** The identity provider that the JWT mount trusts by its JWKS URL. */
  readonly tokens: TokenIssuer
  /** What the server was asked and answered, a JSON object in each line, secrets included. */
  readonly issuedFile: string
  /** @throws TypeError where the lab was started without it. */
  readonly postgresql: PostgreSql
  /** @throws TypeError where the lab was started without it. */
  readonly ldap: OpenLdap
  /** One request, below `/v1/`, as root unless a token is given. Rejects only where there is no answer. */
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Answer>
  /** The ids of all leases below `prefix`. Default: those of secret engines, none of logins. */
  leases(prefix?: string): Promise<readonly string[]>
  /** The accessors of all living tokens but root's. */
  accessors(): Promise<readonly string[]>
  /** A role id, and a new secret id, of the AppRole role `server`. */
  appRole(): Promise<{ readonly roleId: string; readonly secretId: string }>
  /** A new certificate of a client that the role `server` of the cert mount accepts. */
  clientCertificate(commonName?: string): Promise<KeyPair>
  seal(): Promise<void>
  unseal(): Promise<void>
  /** Lets the server hang: it accepts connections and answers nothing. */
  pause(): void
  /** Ends {@link pause}. */
  resume(): void
  /** Ends the server as `kill -9` does. */
  kill(): Promise<void>
  /** Ends the server: connections are refused. */
  halt(): Promise<void>
  /** Starts it again and unseals it: same address, same storage. */
  restart(): Promise<void>
  /** Ends everything and removes the folder. */
  dispose(): Promise<void>
}

const MINUTE = 60_000
const NO_PROGRAM = 'missing: a "bao" or "vault" on PATH; "node scripts/setup.mjs" fetches one'

/**
 * Starts a server and configures it: the roles `user` (JWT) and `server` (AppRole, TLS certificate), their policies, and
 * the engines of {@link Mounts}. Started by root, it runs as `nobody`. It ends with the process that started it. With
 * VAULT_ADDR and VAULT_TOKEN in the environment it is the one there instead, with all mounts below a random prefix, which
 * are removed at the end.
 * @throws Error where the machine has no server, and where it does not start.
 */
export async function vault(options: VaultOptions = {}): Promise<VaultLab> {
  const started: AsyncDisposable[] = []
  const dispose = async (): Promise<void> => {
    for (let one = started.pop(); one !== undefined; one = started.pop()) await one[Symbol.asyncDispose]()
  }
  const disposable = <T extends AsyncDisposable>(one: T): T => {
    started.push(one)
    return one
  }
  try {
    return await start(options, disposable, dispose)
  } catch (error) {
    await dispose()
    throw error
  }
}

type Disposable = <T extends AsyncDisposable>(one: T) => T

async function start(options: VaultOptions, disposable: Disposable, dispose: () => Promise<void>): Promise<VaultLab> {
  const { tokenTtl = 15 * MINUTE, tokenMaxTtl = Math.max(tokenTtl, 60 * MINUTE) } = options
  const external = externalServer()
  const starting = [
    (external === undefined ? ownServer(options.storage) : useServer(external)).then(disposable),
    tokenIssuer().then(disposable),
    options.postgresql ? postgresql().then(disposable) : undefined,
    options.ldap ? openLdap().then(disposable) : undefined,
  ] as const
  // Where one fails, the others must be there to be disposed of.
  await Promise.allSettled(starting)
  const [server, tokens, database, directory] = await Promise.all(starting)
  const { ask, authority, folder } = server
  const prefix = external === undefined ? '' : `mcp-delegation-${randomBytes(6).toString('hex')}/`
  const mounts = mountsBelow(prefix)
  const policies = { user: `${prefix}user`, server: `${prefix}server` }
  if (prefix !== '') disposable({ [Symbol.asyncDispose]: () => unconfigure(ask, { mounts, policies }) })
  const ttls = { tokenTtl: Math.ceil(tokenTtl / 1_000), tokenMaxTtl: Math.ceil(tokenMaxTtl / 1_000) }
  const jwtAccessor = await configure(ask, { mounts, policies, tokens, ...ttls, clientCa: authority.certificate })
  if (database !== undefined) await configureDatabase(ask, mounts, database)
  if (directory !== undefined) await configureLdap(ask, mounts, directory)
  let clients = 0
  return {
    ...server,
    mounts,
    policies,
    jwtAccessor,
    tokens,
    get postgresql() {
      return present(database, 'postgresql')
    },
    get ldap() {
      return present(directory, 'ldap')
    },
    request: ask,
    leases: (below = prefix) => leasesBelow(ask, below === '' || below.endsWith('/') ? below : `${below}/`),
    accessors: () => accessorsBelow(ask, prefix),
    appRole: async () => {
      const path = `auth/${mounts.appRole}/role/server`
      const role = (await must(ask, 'GET', `${path}/role-id`)) as { data: { role_id: string } }
      const secret = (await must(ask, 'POST', `${path}/secret-id`)) as { data: { secret_id: string } }
      return { roleId: role.data.role_id, secretId: secret.data.secret_id }
    },
    clientCertificate: (commonName = 'client') =>
      certify(authority, { folder, name: `client-${++clients}`, commonName, purpose: 'client' }),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

async function ownServer(storage: Storage = 'file'): Promise<Server> {
  const program = findProgram()
  if (program === undefined) throw new Error(`the server can't be started: ${NO_PROGRAM}`)
  return startServer(program, storage)
}

function present<T>(backend: T | undefined, option: string): T {
  if (backend === undefined) throw new TypeError(`the lab was started without "${option}"`)
  return backend
}

/** What the lab lacks on this machine, in sentences; nothing where all is there. */
export function missing(): readonly string[] {
  const program = externalServer() ?? findProgram()
  return [...missingPackages(PACKAGES), ...(program === undefined ? [NO_PROGRAM] : [])]
}

/** Why the server can't be stopped, sealed and paused here, in sentences; nothing where it can. */
export function unstoppableBecause(): readonly string[] {
  return externalServer() === undefined ? [] : ["the server at VAULT_ADDR is not the lab's to stop"]
}
