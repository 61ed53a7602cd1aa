import { dataOf, protocol } from './answers.ts'
import type { SourceContext } from './source.ts'

/** Resolves where a mount is what the option says; rejects with `ERR_DELEGATION_PROTOCOL` where it is another. */
export type MountProof = (context: Pick<SourceContext, 'read'>) => Promise<void>

/**
 * Proves that `mount` is a KV engine of `version`. Any other mount answers 404 as well, and nobody is to be taken for a user
 * without a secret, for whom another module may be asked, because an option names the wrong mount. Asked each time, since
 * mounts are changed by people, and a source may be part of several modules.
 * @see https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
 */
export function kvMountProof(mount: string, version: '1' | '2'): MountProof {
  return async ({ read }) => {
    const { type, path, options } = dataOf(await read(`sys/internal/ui/mounts/${mount}`))
    // A path below a mount is answered with the mount's.
    if (type !== 'kv' || path !== `${mount}/` || versionOf(options) !== version)
      throw protocol(`the mount of the option "mount" is no KV engine of version ${version}`)
  }
}

function versionOf(options: unknown): unknown {
  return (options as { readonly version?: unknown } | null | undefined)?.version ?? '1'
}
