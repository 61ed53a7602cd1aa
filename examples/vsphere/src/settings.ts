import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { SecretSource } from '@mcp-delegation/core'
import { type IssuerProfileName, issuerProfiles } from '@mcp-delegation/core/oidc'
import { GROUPS, LEVELS, type Level } from './access.ts'
import type { SharedAccount, VaultSettings } from './vcenter-modules.ts'

/** What the server is told by its environment; README.md has the table. */
export interface Settings {
  /** The URL of the MCP server as its clients know it: what their tokens are for. */
  readonly resource: URL
  readonly listen: { readonly host: string; readonly port: number }
  /** The scope that every token must have. */
  readonly scope: string | undefined
  readonly allowedOrigins: readonly string[]
  readonly callsPerMinute: number
  /** From which level on the log is written. */
  readonly logLevel: 'debug' | 'warn'
  readonly oidc: {
    readonly issuer: string
    readonly profile: IssuerProfileName
    readonly audience: string
    readonly groupsClaim: string | undefined
  }
  /** By group: the level that it grants. */
  readonly groups: Readonly<Record<string, Level>>
  readonly vcenter: {
    readonly url: string
    /** PEM. */
    readonly ca: string | undefined
    /** How long a session is kept, in milliseconds. */
    readonly sessionMaxAge: number
    /** How many are kept; beyond that, the one that was idle for the longest is ended. */
    readonly maxSessions: number
  }
  /** By level: the account that those of this level share. */
  readonly accounts: Readonly<Partial<Record<Level, SharedAccount>>>
  readonly vault: VaultSettings | undefined
  readonly audit: {
    readonly file: string
    /** Where the checkpoints of a sealed file go besides, and the key that signs them. */
    readonly seal: { readonly key: SecretSource; readonly checkpoints: string } | undefined
  }
}

/** Says in one line which variable is wrong, and how. */
export class SettingsError extends Error {}

/** A misspelled name that begins like this would go unnoticed. Vault's own variables are not ours to judge. */
const PREFIXES = ['MCP_', 'OIDC_', 'GROUPS_', 'VCENTER_', 'VAULT_JWT_', 'VAULT_KV_', 'AUDIT_']
/** The options that are checked where they are used, and the variables that they come from. */
const VARIABLES: Readonly<Record<string, string>> = {
  resource: 'MCP_URL',
  requiredScopes: 'MCP_SCOPE',
  allowedOrigins: 'MCP_ALLOWED_ORIGINS',
  'issuers[0].issuer': 'OIDC_ISSUER',
  audience: 'OIDC_AUDIENCE',
  url: 'VCENTER_URL',
  address: 'VAULT_ADDR',
  'tls.ca': 'VAULT_CACERT',
  role: 'VAULT_JWT_ROLE',
  namespace: 'VAULT_NAMESPACE',
  path: 'VAULT_KV_PATH',
  'seal.key': 'AUDIT_KEY_FILE',
}
/** Those that users can't edit, at any provider. */
const CLAIMS = ['sub', 'oid']
const MINUTE = 60_000

/** @throws SettingsError for a variable that is missing, misspelled or wrong. Secrets are not read yet. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const known = new Set<string>()
  const optional = (name: string): string | undefined => {
    known.add(name)
    const value = env[name]?.trim()
    return value === '' ? undefined : value
  }
  const required = (name: string): string => optional(name) ?? fail(name, 'must be set')
  const whole = (name: string, fallback: number, from: number, to: number): number => {
    const text = optional(name) ?? String(fallback)
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    return value >= from && value <= to ? value : fail(name, `must be a whole number from ${from} to ${to}`)
  }
  const list = (name: string): readonly string[] => {
    const text = optional(name)
    if (text === undefined) return []
    const parts = text.split(',').map((part) => part.trim())
    return parts.includes('') ? fail(name, 'must be names with commas between them') : parts
  }
  const path = (name: string): string | undefined => {
    const value = optional(name)
    return value === undefined || isAbsolute(value) ? value : fail(name, 'must be an absolute path')
  }

  const resource = urlOf('MCP_URL', required('MCP_URL'))
  const issuer = urlOf('OIDC_ISSUER', required('OIDC_ISSUER')) && required('OIDC_ISSUER')
  const profile = optional('OIDC_PROFILE') ?? 'rfc9068'
  if (!Object.hasOwn(issuerProfiles, profile))
    fail('OIDC_PROFILE', `must be one of ${Object.keys(issuerProfiles).join(', ')}`)

  const settings: Settings = {
    resource,
    listen: listenOn(optional('MCP_LISTEN') ?? '127.0.0.1:8080'),
    scope: optional('MCP_SCOPE'),
    allowedOrigins: list('MCP_ALLOWED_ORIGINS'),
    callsPerMinute: whole('MCP_CALLS_PER_MINUTE', 120, 1, 1_000_000),
    logLevel: logLevelOf(optional('MCP_LOG_LEVEL') ?? 'warn'),
    oidc: {
      issuer,
      profile: profile as IssuerProfileName,
      audience: optional('OIDC_AUDIENCE') ?? resource.href,
      groupsClaim: optional('OIDC_GROUPS_CLAIM'),
    },
    groups: groupsOf(list),
    vcenter: {
      url: urlOf('VCENTER_URL', required('VCENTER_URL')).href,
      ca: contentOf('VCENTER_CA_FILE', path('VCENTER_CA_FILE')),
      sessionMaxAge: whole('VCENTER_SESSION_MINUTES', 20, 1, 1_440) * MINUTE,
      maxSessions: whole('VCENTER_MAX_SESSIONS', 500, 1, 100_000),
    },
    accounts: accountsOf(optional, path),
    vault: vaultOf(optional, path),
    audit: { file: path('AUDIT_FILE') ?? fail('AUDIT_FILE', 'must be set'), seal: sealOf(path) },
  }
  if (settings.vault === undefined && Object.keys(settings.accounts).length === 0)
    fail('VAULT_ADDR', 'or VCENTER_USER_<LEVEL> must be set: nobody would have an account at vCenter')
  const stranger = Object.keys(env).find(
    (name) => !known.has(name) && PREFIXES.some((prefix) => name.startsWith(prefix)),
  )
  if (stranger !== undefined) fail(stranger, 'is no setting of this server')
  return settings
}

/** What is said of an option that comes from a variable, said of the variable; any other error as it is. */
export function inVariables(error: unknown): unknown {
  const [, option = '', what = ''] = error instanceof TypeError ? (/^"([^"]+)" (.+)$/.exec(error.message) ?? []) : []
  const [, level] = /^accounts\.vcenter\.levels\.([A-Z_]+)\.username$/.exec(option) ?? []
  const variable = level === undefined ? VARIABLES[option] : `VCENTER_USER_${level}`
  return variable === undefined ? error : new SettingsError(`${variable} ${what}`)
}

type Read = (name: string) => string | undefined

function fail(name: string, what: string): never {
  throw new SettingsError(`${name} ${what}`)
}

function urlOf(name: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const ok = url !== undefined && ['https:', 'http:'].includes(url.protocol) && url.username === ''
  return ok ? url : fail(name, 'must be a URL without a user')
}

function listenOn(text: string): Settings['listen'] {
  const [, host, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)?.filter((part) => part !== undefined) ?? []
  if (host === undefined || port === undefined || Number(port) > 65_535) fail('MCP_LISTEN', 'must be host:port')
  return { host, port: Number(port) }
}

function logLevelOf(text: string): Settings['logLevel'] {
  return text === 'debug' || text === 'warn' ? text : fail('MCP_LOG_LEVEL', 'must be debug or warn')
}

/** What is configured for a level replaces its usual group. */
function groupsOf(list: (name: string) => readonly string[]): Settings['groups'] {
  const groups = new Map<string, Level>()
  for (const level of LEVELS) {
    const name = `GROUPS_${level}`
    const given = list(name)
    const usual = Object.keys(GROUPS).filter((group) => GROUPS[group] === level)
    for (const group of given.length > 0 ? given : usual) {
      if (groups.has(group)) fail(name, `names a group that grants ${groups.get(group)} already`)
      groups.set(group, level)
    }
  }
  return Object.fromEntries(groups)
}

function accountsOf(optional: Read, path: Read): Settings['accounts'] {
  const accounts = LEVELS.flatMap((level) => {
    const username = optional(`VCENTER_USER_${level}`)
    const file = path(`VCENTER_PASSWORD_FILE_${level}`)
    if (username === undefined && file === undefined) return []
    if (username === undefined) return fail(`VCENTER_USER_${level}`, 'must be set, as its password file is')
    if (file === undefined) return fail(`VCENTER_PASSWORD_FILE_${level}`, 'must be set, as its user is')
    return [[level, { username, password: { file } }] as const]
  })
  return Object.fromEntries(accounts)
}

function vaultOf(optional: Read, path: Read): Settings['vault'] {
  const address = optional('VAULT_ADDR')
  const claim = optional('VAULT_CLAIM') ?? 'sub'
  if (!CLAIMS.includes(claim)) fail('VAULT_CLAIM', `must be one of ${CLAIMS.join(', ')}`)
  if (address === undefined) return undefined
  return {
    address: urlOf('VAULT_ADDR', address).href.replace(/\/$/, ''),
    namespace: optional('VAULT_NAMESPACE'),
    ca: readable('VAULT_CACERT', path('VAULT_CACERT')),
    login: { mount: optional('VAULT_JWT_MOUNT') ?? 'jwt', role: optional('VAULT_JWT_ROLE') ?? 'vsphere-mcp' },
    kv: {
      mount: optional('VAULT_KV_MOUNT') ?? 'secret',
      path: optional('VAULT_KV_PATH') ?? 'users/{principal}/vcenter',
    },
    claim,
  }
}

function sealOf(path: Read): Settings['audit']['seal'] {
  const file = path('AUDIT_KEY_FILE')
  const checkpoints = path('AUDIT_CHECKPOINT_FILE')
  if (file === undefined && checkpoints === undefined) return undefined
  if (file === undefined) return fail('AUDIT_KEY_FILE', 'must be set, as AUDIT_CHECKPOINT_FILE is')
  if (checkpoints === undefined) return fail('AUDIT_CHECKPOINT_FILE', 'must be set, as AUDIT_KEY_FILE is')
  if (checkpoints === path('AUDIT_FILE')) fail('AUDIT_CHECKPOINT_FILE', 'must be another file than AUDIT_FILE')
  return { key: { file }, checkpoints }
}

function readable(name: string, file: string | undefined): string | undefined {
  return contentOf(name, file) === undefined ? undefined : file
}

function contentOf(name: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return fail(name, 'must be a file that can be read')
  }
}
