import {
  DelegationError,
  firstMapped,
  type IssueContext,
  liveSession,
  type OpenedSession,
  type PasswordCredential,
  type Permissions,
  type SecretSource,
} from '@mcp-delegation/core'
import { serviceAccount } from '@mcp-delegation/service-account'
import { jwtLogin, kv2, vaultMapping } from '@mcp-delegation/vault'
import { LEVELS, type Level, VCENTER } from './access.ts'
import { isOver } from './in-session.ts'
import { refusedLogins } from './refused-logins.ts'
import { type Vcenter, VcenterError, type VcenterSession } from './vcenter/index.ts'

/** An account at vCenter that those of one level share. */
export interface SharedAccount {
  readonly username: string
  readonly password: SecretSource
}

/** Where users' own accounts are stored. */
export interface VaultSettings {
  readonly address: string
  readonly namespace: string | undefined
  /** The absolute path of the PEM file of the authority that Vault's certificate is from. */
  readonly ca: string | undefined
  /** How users log in there. */
  readonly login: { readonly mount: string; readonly role: string }
  readonly kv: { readonly mount: string; readonly path: string }
  /** The claim of the access token that `{principal}` stands for: `sub` or `oid`. */
  readonly claim: string
}

export interface ModuleOptions {
  readonly vcenter: Vcenter
  readonly issuer: string
  readonly vault: VaultSettings | undefined
  readonly accounts: Readonly<Partial<Record<Level, SharedAccount>>>
  readonly access: Permissions<Level>
  /** How long a session at vCenter is kept, in milliseconds: for less than vCenter lets one be idle. */
  readonly maxAge: number
}

/**
 * One live session at vCenter for each user: with the user's own account where Vault has one, otherwise with the account
 * of the user's level, so that readers never have one of administrators.
 */
export function vcenterModules({ vcenter, issuer, vault, accounts, access, maxAge }: ModuleOptions) {
  const refused = refusedLogins()
  const open = async (
    { username, password }: PasswordCredential,
    _: unknown,
    { signal, clock }: IssueContext,
  ): Promise<OpenedSession<VcenterSession>> => {
    const known = password.reveal()
    if (refused.has(username, known, clock.now())) throw denied(new VcenterError('ERR_VCENTER_LOGIN', NOT_AGAIN))
    try {
      const session = await vcenter.login(username, known, { signal })
      return {
        handle: session,
        principal: session.userName,
        // Giving one up is heard once in ten seconds; this, always.
        usable: () => !isOver(session),
        close: (__, options) => session.logout(options),
      }
    } catch (cause) {
      if (!(cause instanceof VcenterError)) throw cause
      if (cause.code !== 'ERR_VCENTER_LOGIN') throw unopened(cause)
      refused.add(username, known, clock.now())
      throw denied(cause)
    }
  }

  const levels = Object.fromEntries(
    LEVELS.flatMap((level) => (accounts[level] === undefined ? [] : [[level, accounts[level]]])),
  )
  const shared = liveSession(
    serviceAccount({
      accounts: { [VCENTER]: { levels } },
      level: (session) => access.levelOf(session),
      allow: (session) => session.kind === 'user' && access.levelOf(session) !== undefined,
      maxAge,
    }),
    { open },
  )
  if (vault === undefined) return { [VCENTER]: shared }

  const own = liveSession(
    vaultMapping({
      address: vault.address,
      namespace: vault.namespace,
      ...(vault.ca !== undefined && { tls: { ca: vault.ca } }),
      login: jwtLogin(vault.login),
      principal: { issuers: [{ issuer, claim: vault.claim }] },
      targets: { [VCENTER]: kv2({ mount: vault.kv.mount, path: vault.kv.path, maxAge }) },
      maxAge,
    }),
    { open },
  )
  return { [VCENTER]: firstMapped(own, shared) }
}

const NOT_AGAIN = 'the same password was refused less than a minute ago'

export type VcenterModules = ReturnType<typeof vcenterModules>

function denied(cause: VcenterError): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', "vCenter does not accept the caller's account", { cause })
}

function unopened(cause: VcenterError): DelegationError {
  const code = cause.code === 'ERR_VCENTER_UNAVAILABLE' ? 'ERR_DELEGATION_UNAVAILABLE' : 'ERR_DELEGATION_PROTOCOL'
  return new DelegationError(code, 'no session could be opened at vCenter', { cause })
}
