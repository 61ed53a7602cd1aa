import { randomBytes } from 'node:crypto'
import { certify, type KeyPair } from '../certificates.ts'
import { type OpenLdap, openLdap } from '../open-ldap/index.ts'
import { type PostgreSql, postgresql } from '../postgresql/index.ts'
import { type SshServer, sshServer } from '../ssh-server/index.ts'
import { type TokenIssuer, tokenIssuer } from '../token-issuer/index.ts'
import { configureDatabase, configureLdap } from './backends.ts'
import { configure, type Policies, unconfigure } from './configuration.ts'
import { accessorsBelow, leasesBelow } from './inventory.ts'
import { type Mounts, mountsBelow } from './mounts.ts'
import { type Answer, type Ask, must, type RequestOptions } from './requests.ts'
import type { Configurable } from './server.ts'

/** What {@link vault} and {@link vaultCluster} take. */
export interface LabOptions {
  /** How long the token of a login lives without renewal, in milliseconds. Default: 15 minutes. */
  readonly tokenTtl?: number | undefined
  /** How long it lives with renewals, in milliseconds. Default: an hour, or `tokenTtl` where that is longer. */
  readonly tokenMaxTtl?: number | undefined
  /** Whether the database engine gets a PostgreSQL. Default: no. */
  readonly postgresql?: boolean | undefined
  /** Whether the LDAP engine gets an OpenLDAP. Default: no. */
  readonly ldap?: boolean | undefined
  /** Whether there is an SSH server that takes what the SSH engine signs. Default: no. */
  readonly ssh?: boolean | undefined
}

/** A configured server, of one process or more, with the others that belong to it. */
export interface Lab extends AsyncDisposable {
  /** The path of the PEM file of the certificate authority that its certificates are from. */
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
  /** @throws TypeError where the lab was started without it. */
  readonly postgresql: PostgreSql
  /** @throws TypeError where the lab was started without it. */
  readonly ldap: OpenLdap
  /** @throws TypeError where the lab was started without it. */
  readonly ssh: SshServer
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
  /** Ends everything and removes the folder. */
  dispose(): Promise<void>
}

const MINUTE = 60_000

/** Starts a server by `begin` and what belongs to it, and configures them. `shared`: others use that server too. */
export async function startLab<S extends Configurable>(
  begin: () => Promise<S>,
  options: LabOptions,
  shared = false,
): Promise<S & Lab> {
  const { tokenTtl = 15 * MINUTE, tokenMaxTtl = Math.max(tokenTtl, 60 * MINUTE) } = options
  const started: AsyncDisposable[] = []
  const dispose = async (): Promise<void> => {
    for (let one = started.pop(); one !== undefined; one = started.pop()) await one[Symbol.asyncDispose]()
  }
  const disposable = <T extends AsyncDisposable>(one: T): T => {
    started.push(one)
    return one
  }
  try {
    const starting = [
      begin().then(disposable),
      tokenIssuer().then(disposable),
      options.postgresql ? postgresql().then(disposable) : undefined,
      options.ldap ? openLdap().then(disposable) : undefined,
    ] as const
    // Where one fails, the others must be there to be disposed of.
    await Promise.allSettled(starting)
    const [server, tokens, database, directory] = await Promise.all(starting)
    const { ask, authority, folder } = server
    const prefix = shared ? `mcp-delegation-${randomBytes(6).toString('hex')}/` : ''
    const mounts = mountsBelow(prefix)
    const policies = { user: `${prefix}user`, server: `${prefix}server` }
    if (shared) disposable({ [Symbol.asyncDispose]: () => unconfigure(ask, { mounts, policies }) })
    const ttls = { tokenTtl: Math.ceil(tokenTtl / 1_000), tokenMaxTtl: Math.ceil(tokenMaxTtl / 1_000) }
    const jwtAccessor = await configure(ask, { mounts, policies, tokens, ...ttls, clientCa: authority.certificate })
    if (database !== undefined) await configureDatabase(ask, mounts, database)
    if (directory !== undefined) await configureLdap(ask, mounts, directory)
    const shell = options.ssh ? disposable(await trusting(ask, mounts)) : undefined
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
      get ssh() {
        return present(shell, 'ssh')
      },
      request: ask,
      leases: (below = prefix) => leasesBelow(ask, below === '' || below.endsWith('/') ? below : `${below}/`),
      accessors: () => accessorsBelow(ask, prefix),
      appRole: () => newSecretId(ask, mounts),
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

/** An SSH server that trusts the SSH engine. */
async function trusting(ask: Ask, { ssh }: Mounts): Promise<SshServer> {
  const { data } = (await must(ask, 'GET', `${ssh}/config/ca`)) as { data: { public_key: string } }
  return sshServer({ trustedUserCaKeys: data.public_key })
}

async function newSecretId(ask: Ask, { appRole }: Mounts): Promise<{ roleId: string; secretId: string }> {
  const path = `auth/${appRole}/role/server`
  const role = (await must(ask, 'GET', `${path}/role-id`)) as { data: { role_id: string } }
  const secret = (await must(ask, 'POST', `${path}/secret-id`)) as { data: { secret_id: string } }
  return { roleId: role.data.role_id, secretId: secret.data.secret_id }
}

function present<T>(backend: T | undefined, option: string): T {
  if (backend === undefined) throw new TypeError(`the lab was started without "${option}"`)
  return backend
}
