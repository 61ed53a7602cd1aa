import { FIELD_OPTIONS, type FieldOptions, fieldMapping, type StoredCredentials, type StoredKind } from '../fields.ts'
import { checkKnown } from '../known-options.ts'
import { mountPath, pathTemplate } from '../paths.ts'
import { dataOf, denied, hasStatus, isAbsence, noIdentity } from './answers.ts'
import { kvMountProof } from './kv-mount.ts'
import type { Source } from './source.ts'
import { maxAgeOf } from './source-options.ts'

/** What {@link kv1} takes. */
export interface Kv1Options<Kind extends StoredKind> extends FieldOptions<Kind> {
  /** Where the engine is mounted. Default: `kv`. */
  readonly mount?: string | undefined
  /** The path of the user's own secret: it must hold a placeholder, as `users/{principal}/vcenter`. */
  readonly path: string
  /**
   * What it means that there is no secret. This version of the engine does not tell one that was deleted from one that never
   * was: with `no-identity`, whose secret is deleted is served by the next module of a `firstMapped`. Default: `denied`.
   */
  readonly missing?: 'denied' | 'no-identity' | undefined
  /** How long a secret is used until it is read again, in milliseconds. Default: 300,000. */
  readonly maxAge?: number | undefined
}

/**
 * A secret of the user's own in a KV engine of version 1. One that lacks a field is `ERR_DELEGATION_PROTOCOL`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#read-secret
 */
export function kv1<const Kind extends StoredKind = 'password'>(
  options: Kv1Options<Kind>,
): Source<StoredCredentials[Kind]> {
  checkKnown(options, ['mount', 'path', 'missing', 'maxAge', ...FIELD_OPTIONS], 'kv1')
  const mount = mountPath(options.mount ?? 'kv', 'mount')
  const template = pathTemplate(options.path, 'path', 'required')
  const { missing = 'denied' } = options
  if (missing !== 'denied' && missing !== 'no-identity')
    throw new TypeError('"missing" must be "denied" or "no-identity"')
  const maxAge = maxAgeOf(options.maxAge)
  const credential = fieldMapping(options)
  const proof = kvMountProof(mount, '1')
  return {
    type: 'kv1',
    leased: false,
    claims: [{ kind: `${mount}/`, template }],
    async obtain(context) {
      const { who, read, clock } = context
      const envelope = await read(`${mount}/${template.fill(who)}`).catch(async (error: unknown) => {
        if (!hasStatus(error, 404)) throw error
        await proof(context)
        if (!isAbsence(error)) throw error
        throw missing === 'denied' ? denied('Vault has no secret for the caller', error) : noIdentity(error)
      })
      const { value, principal, validUntil } = credential(dataOf(envelope), who, clock.now())
      return { value, principal, expiresAt: Math.min(envelope.sentAt + maxAge, validUntil) }
    },
  }
}
