import { FIELD_OPTIONS, type FieldOptions, fieldMapping, type StoredCredentials, type StoredKind } from '../fields.ts'
import { checkKnown } from '../known-options.ts'
import { mountPath, pathTemplate } from '../paths.ts'
import { type Data, dataOf, denied, hasStatus, isAbsence, noIdentity, protocol, unavailable } from './answers.ts'
import { kvMountProof } from './kv-mount.ts'
import type { Source, SourceContext } from './source.ts'
import { maxAgeOf } from './source-options.ts'

/** What {@link kv2} takes. */
export interface Kv2Options<Kind extends StoredKind> extends FieldOptions<Kind> {
  /** Where the engine is mounted. Default: `secret`. */
  readonly mount?: string | undefined
  /** The path of the user's own secret, without `data`: it must hold a placeholder, as `users/{principal}/vcenter`. */
  readonly path: string
  /** The version to read. Default: the latest. */
  readonly version?: number | undefined
  /** How long a secret is used until it is read again, in milliseconds. Default: 300,000. */
  readonly maxAge?: number | undefined
}

/**
 * A secret of the user's own in a KV engine of version 2. `ERR_DELEGATION_NO_IDENTITY` only where there is none and never
 * was, which the user's policy must let this see: `read` on `<mount>/metadata/<path>`. A secret that was deleted or
 * destroyed is `ERR_DELEGATION_DENIED`, one that lacks a field `ERR_DELEGATION_PROTOCOL`.
 * @throws TypeError naming the option that is wrong.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version
 */
export function kv2<const Kind extends StoredKind = 'password'>(
  options: Kv2Options<Kind>,
): Source<StoredCredentials[Kind]> {
  checkKnown(options, ['mount', 'path', 'version', 'maxAge', ...FIELD_OPTIONS], 'kv2')
  const mount = mountPath(options.mount ?? 'secret', 'mount')
  const template = pathTemplate(options.path, 'path', 'required')
  const { version } = options
  if (version !== undefined && !(Number.isSafeInteger(version) && version >= 1))
    throw new TypeError('"version" must be a whole number from 1')
  const maxAge = maxAgeOf(options.maxAge)
  const credential = fieldMapping(options)
  const proof = kvMountProof(mount, '2')

  /** What it means that there is no secret to read. */
  const absence = async (error: unknown, path: string, context: SourceContext): Promise<unknown> => {
    // All that a read can be wrong about was checked: the engine is not ready, as on a node that has just taken over.
    if (hasStatus(error, 400)) return unavailable('the KV engine is not ready', error)
    if (!hasStatus(error, 404)) return error
    if (error.envelope() !== undefined) return denied('the secret of the caller was deleted', error)
    try {
      await context.read(`${mount}/metadata/${path}`)
    } catch (unseen) {
      if (!hasStatus(unseen, 404)) return unseen
      await proof(context)
      return isAbsence(error) && isAbsence(unseen) ? noIdentity(error) : error
    }
    return denied('the secret of the caller has no version to read', error)
  }

  return {
    type: 'kv2',
    leased: false,
    claims: [{ kind: `${mount}/`, template }],
    async obtain(context) {
      const { who } = context
      const path = template.fill(who)
      const query = version === undefined ? undefined : { version: String(version) }
      const envelope = await context.read(`${mount}/data/${path}`, query).catch(async (error: unknown) => {
        throw await absence(error, path, context)
      })
      const { data, metadata } = dataOf(envelope)
      const read = (metadata as { readonly version?: unknown } | null | undefined)?.version
      if (data === null || typeof data !== 'object' || Array.isArray(data) || !Number.isSafeInteger(read))
        throw protocol('the mount of the option "mount" does not answer as a KV engine of version 2')
      if (version !== undefined && read !== version) throw protocol('Vault answered with another version of the secret')
      const { value, principal, validUntil } = credential(data as Data, who, context.clock.now())
      return { value, principal, expiresAt: Math.min(envelope.sentAt + maxAge, validUntil) }
    },
  }
}
