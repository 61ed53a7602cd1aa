import { type TokenIssuer, tokenIssuer } from '../token-issuer/index.ts'
import { certify, type KeyPair } from './certificates.ts'
import { configure, type Policies } from './configuration.ts'
import { type Mounts, mountsBelow } from './mounts.ts'
import { findProgram } from './program.ts'
import { type Answer, type Ask, must, type RequestOptions } from './requests.ts'
import { type Storage, startServer } from './server.ts'

/** What {@link vault} takes. */
export interface VaultOptions {
  /** Default: `file`, which starts two seconds faster than `raft`. */
  readonly storage?: Storage | undefined
  /** How long the token of a login lives without renewal, in milliseconds. Default: 15 minutes. */
  readonly tokenTtl?: number | undefined
  /** How long it lives with renewals, in milliseconds. Default: an hour, or `tokenTtl` where that is longer. */
  readonly tokenMaxTtl?: number | undefined
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

/**
 * Starts a server and configures it: the roles `user` (JWT) and `server` (AppRole, TLS certificate), their policies, and
 * the engines of {@link Mounts}. Started by root, it runs as `nobody`. It ends with the process that started it.
 * @throws Error where the machine has no server, and where it does not start.
 */
export async function vault(options: VaultOptions = {}): Promise<VaultLab> {
  const { storage = 'file', tokenTtl = 15 * MINUTE, tokenMaxTtl = Math.max(tokenTtl, 60 * MINUTE) } = options
  const program = findProgram()
  if (program === undefined) throw new Error(`the server can't be started: ${missing().join('; ')}`)
  const [server, tokens] = await Promise.all([startServer(program, storage), tokenIssuer()])
  const { ask, authority, folder } = server
  const dispose = async (): Promise<void> => {
    await tokens[Symbol.asyncDispose]()
    await server.dispose()
  }
  const mounts = mountsBelow('')
  const policies = { user: 'user', server: 'server' }
  const ttls = { tokenTtl: Math.ceil(tokenTtl / 1_000), tokenMaxTtl: Math.ceil(tokenMaxTtl / 1_000) }
  try {
    const jwtAccessor = await configure(ask, { mounts, policies, tokens, ...ttls, clientCa: authority.certificate })
    let clients = 0
    return {
      ...server,
      mounts,
      policies,
      jwtAccessor,
      tokens,
      request: ask,
      leases: (prefix) => leasesBelow(ask, prefix),
      accessors: () => accessorsOfOthers(ask),
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
  } catch (error) {
    await dispose()
    throw error
  }
}

/** What the lab lacks on this machine, in sentences; nothing where all is there. */
export function missing(): readonly string[] {
  return findProgram() === undefined
    ? ['missing: a "bao" or "vault" on PATH; "node scripts/setup.mjs" fetches one']
    : []
}

async function accessorsOfOthers(ask: Ask): Promise<readonly string[]> {
  const own = (await must(ask, 'GET', 'auth/token/lookup-self')) as { data: { accessor: string } }
  const all = (await must(ask, 'GET', 'auth/token/accessors?list=true')) as { data: { keys: string[] } }
  return all.data.keys.filter((accessor) => accessor !== own.data.accessor)
}

async function leasesBelow(ask: Ask, prefix: string | undefined): Promise<readonly string[]> {
  const path = prefix === undefined || prefix === '' || prefix.endsWith('/') ? (prefix ?? '') : `${prefix}/`
  const { status, body } = await ask('GET', `sys/leases/lookup/${path}?list=true`)
  if (status === 404) return []
  if (status !== 200) throw new Error(`leases below "${path}": ${status} ${JSON.stringify(body)}`)
  const keys = (body as { data: { keys: string[] } }).data.keys.filter((key) => prefix !== undefined || key !== 'auth/')
  const found = await Promise.all(keys.map((key) => (key.endsWith('/') ? leasesBelow(ask, path + key) : [path + key])))
  return found.flat()
}
