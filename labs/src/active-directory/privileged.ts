import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Where Samba's own parts meet; the path is compiled in. */
const MEETING_POINT = '/run/samba'

/** Why LDAP and SMB can't be had here, in sentences; nothing where they can: uid 0 and `unshare --mount` are needed. */
export function unprivilegedBecause(): readonly string[] {
  if (process.getuid?.() !== 0) return ['LDAP and SMB need uid 0']
  const { status } = spawnSync('unshare', ['--mount', 'true'], { stdio: 'ignore' })
  return status === 0 ? [] : ['LDAP and SMB need "unshare --mount", which is not allowed here']
}

/** Files and folders to put in place of the machine's own, for one command. */
export interface Disguise {
  /** In place of /etc/hosts. */
  readonly hosts: string
  /** In place of /run/samba. */
  readonly run?: string | undefined
}

/** The command in a mount namespace of its own. */
export function disguised({ hosts, run }: Disguise, command: readonly [string, ...string[]]): [string, ...string[]] {
  // Where Samba was never started there is no such folder, and a private /run can have one.
  const meet = existsSync(MEETING_POINT) ? '' : `mount -t tmpfs none /run && mkdir ${MEETING_POINT} && `
  const script = `mount --bind "$1" /etc/hosts && ${run === undefined ? '' : `${meet}mount --bind "$2" ${MEETING_POINT} && `}shift 2 && exec "$@"`
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', hosts, run ?? '', ...command]
}
