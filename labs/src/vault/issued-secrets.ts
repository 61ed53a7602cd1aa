import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/** Fields whose values are secrets wherever they stand. */
const SECRET = new Set([
  'bindpass',
  'client_token',
  'current_password',
  'jwt',
  'last_password',
  'password',
  'private_key',
  'secret_id',
  'token',
  'token_reviewer_jwt',
  'wrapping_token',
])
/** Fields of stored secrets that are none. */
const PUBLIC = new Set(['username', 'user'])
/** Shorter ones would be found everywhere. */
const SHORTEST = 8

interface Entry {
  readonly request?: { readonly mount_type?: string; readonly data?: unknown } & Readonly<Record<string, unknown>>
  readonly response?: { readonly data?: unknown } & Readonly<Record<string, unknown>>
}

/**
 * Appends each secret that the server issued or was given, as its audit file says, to the file that the environment
 * variable `ISSUED_SECRETS` names: one in a line, private keys line by line. Does nothing where
 * that is not set, or the server never got as far as to write one.
 */
export function reportIssued(auditFile: string): void {
  const target = process.env['ISSUED_SECRETS']
  if (target === undefined || target === '' || !existsSync(auditFile)) return
  const secrets = issuedSecrets(readFileSync(auditFile, 'utf8'))
  if (secrets.size > 0) appendFileSync(target, `${[...secrets].join('\n')}\n`)
}

/** The secrets in the lines of an audit file with raw values. */
export function issuedSecrets(audit: string): ReadonlySet<string> {
  const found = new Set<string>()
  // A server that is killed may leave half a line.
  for (const line of audit.slice(0, audit.lastIndexOf('\n') + 1).split('\n')) {
    const entry = entryOf(line)
    if (entry === undefined) continue
    collect(entry, found, false)
    if (entry.request?.mount_type === 'kv') {
      for (const data of [entry.request.data, entry.response?.data]) collect(stored(data), found, true)
    }
  }
  return found
}

/** A line that a crash cut in two is none. */
function entryOf(line: string): Entry | undefined {
  try {
    return JSON.parse(line) as Entry
  } catch {
    return undefined
  }
}

/** What a request or an answer of a KV engine stores: in version 2 it is one level down. */
function stored(data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return undefined
  if ('data' in data) return data.data
  // A refusal: what the server says of it is no secret.
  if (Object.keys(data).join() === 'error') return undefined
  return 'created_time' in data || 'versions' in data || 'keys' in data ? undefined : data
}

function collect(value: unknown, found: Set<string>, all: boolean): void {
  if (typeof value === 'string') {
    if (all) add(value, found)
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, found, all)
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      if (!(all && PUBLIC.has(name))) collect(inner, found, all || (SECRET.has(name) && typeof inner === 'string'))
    }
  }
}

function add(value: string, found: Set<string>): void {
  for (const line of value.split('\n').map((text) => text.trim())) {
    if (line.length >= SHORTEST && !line.startsWith('-----')) found.add(line)
  }
}
