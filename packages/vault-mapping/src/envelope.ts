import { type Secret, secret } from '@mcp-delegation/core'

/** What a login answers with. Durations are milliseconds, instants milliseconds since the epoch. */
export interface VaultAuth {
  readonly token: Secret<string>
  readonly accessor: string | undefined
  /** When it ends unless it is renewed, counted from when it was asked for; infinite for a token that never ends. */
  readonly expiresAt: number
  readonly renewable: boolean
  /** How often it may be used; 0 for any number. */
  readonly uses: number
  readonly policies: readonly string[]
  /** Whether it is a batch token, which can't be revoked. */
  readonly batch: boolean
}

/** What Vault answers with, checked and in our units. */
export interface VaultEnvelope {
  /** When the request was sent, in milliseconds since the epoch: what it says of durations counts from here at the latest. */
  readonly sentAt: number
  /** Empty where nothing is leased. */
  readonly leaseId: string
  readonly renewable: boolean
  /** Milliseconds. */
  readonly leaseDuration: number
  readonly data: Readonly<Record<string, unknown>> | undefined
  readonly auth: VaultAuth | undefined
  readonly warnings: readonly string[]
}

/** A year has less seconds than this; so has whatever Vault leases. */
const MAX_SECONDS = 2 ** 32
const MAX_WARNINGS = 16

/** Reads an answer's parsed JSON; `undefined` where it is not what the API says. */
export function envelopeOf(body: unknown, sentAt: number): VaultEnvelope | undefined {
  if (!isRecord(body)) return undefined
  const { lease_id = '', renewable = false, lease_duration = 0, data = null, auth = null, warnings = null } = body
  if (typeof lease_id !== 'string' || typeof renewable !== 'boolean' || !isSeconds(lease_duration)) return undefined
  if (data !== null && !isRecord(data)) return undefined
  const parsed = auth === null ? undefined : authOf(auth, sentAt)
  if (auth !== null && parsed === undefined) return undefined
  return {
    sentAt,
    leaseId: lease_id,
    renewable,
    leaseDuration: lease_duration * 1000,
    data: data ?? undefined,
    auth: parsed,
    warnings: textsOf(warnings).slice(0, MAX_WARNINGS),
  }
}

function authOf(auth: unknown, sentAt: number): VaultAuth | undefined {
  if (!isRecord(auth)) return undefined
  const { client_token, accessor, lease_duration, renewable = false, num_uses = 0 } = auth
  if (!isTokenText(client_token) || !isSeconds(lease_duration) || !isSeconds(num_uses)) return undefined
  if (typeof renewable !== 'boolean') return undefined
  const { policies, token_policies, identity_policies } = auth
  return {
    token: secret(client_token),
    accessor: typeof accessor === 'string' && accessor !== '' ? accessor : undefined,
    expiresAt: lease_duration === 0 ? Number.POSITIVE_INFINITY : sentAt + lease_duration * 1000,
    renewable,
    uses: num_uses,
    policies: [...new Set([policies, token_policies, identity_policies].flatMap(textsOf))],
    batch: auth['token_type'] === 'batch',
  }
}

/** Whether `text` may be a token: what an HTTP header can carry. */
export function isTokenText(text: unknown): text is string {
  return typeof text === 'string' && /^[\x21-\x7e]{1,8192}$/.test(text)
}

/** The texts in a list, and nothing where it is none. */
export function textsOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((text) => typeof text === 'string') : []
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_SECONDS
}

/** Whether `value` is what a JSON object is read as. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
