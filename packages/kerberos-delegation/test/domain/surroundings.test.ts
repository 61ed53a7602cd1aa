import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ActiveDirectory,
  activeDirectory,
  isPrivileged,
  missing,
  unprivilegedBecause,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKEND } from './support.ts'

const REPOSITORY = fileURLToPath(new URL('../../../..', import.meta.url))
/** Where a container has it: the repository itself may be in a folder that is closed to others, or in the temporary one. */
const IMAGE = `mount --bind '${REPOSITORY}' /mnt && cd /mnt/packages/kerberos-delegation`
const PRIVATE = ['--mount', '--propagation', 'private']
const NOBODY = ['--reuid', '10001', '--regid', '10001', '--clear-groups']

/** As a container does it: nothing but the temporary folder can be written, nothing is allowed, nobody is root. */
const CONTAINER = `
${IMAGE} && mount --bind /tmp /tmp && mount -o remount,ro,bind / && mount -o remount,ro,bind /mnt &&
{ test -z "$DISK_ONLY" || { mount --bind /dev/shm /dev/shm && mount -o remount,ro,bind /dev/shm; }; } &&
! touch "$PWD/written" 2>/dev/null && ! touch /written 2>/dev/null &&
exec setpriv ${NOBODY.join(' ')} --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`

const SERVER = `
import { DelegationRegistry } from '@mcp-delegation/core'
import { memoryAudit, testSession } from '@mcp-delegation/core/testing'
import { kerberosDelegation } from '@mcp-delegation/kerberos'
const [kdc, keytabPath, target] = process.argv.slice(1)
const issuer = 'https://idp.example'
const corp = kerberosDelegation({
  realm: 'CORP.EXAMPLE',
  kdc,
  serviceAccount: { username: 'svc-mcp', keytabPath },
  allowedDelegationTargets: [target],
  allowExport: [target],
  principal: { issuers: [{ issuer, principal: ({ subject }) => subject }] },
})
const registry = new DelegationRegistry({ modules: { corp }, audit: memoryAudit(), policy: 'backend-decides' })
const ticket = await registry.delegate('corp', testSession({ issuer, subject: 'alice' }), { targetService: target })
const token = await ticket.value.negotiate()
const { path } = await ticket.value.exportCredentialCache()
console.log(process.getuid(), ticket.principal, token.slice(0, 13), path.startsWith('/dev/shm/'))
await registry[Symbol.asyncDispose]()
`

/** Why another user can't run what is here. */
function closedBecause(): readonly string[] {
  if (missing().length > 0 || unprivilegedBecause().length > 0) return missing()
  const isReadable = `${IMAGE} && exec setpriv ${NOBODY.join(' ')} test -r package.json`
  const { status } = spawnSync('unshare', [...PRIVATE, 'sh', '-c', isReadable])
  return status === 0 ? [] : ["other users may not read this repository's files"]
}

const isThere = isPrivileged('a container', unprivilegedBecause(), closedBecause())

describe.runIf(isThere)('(privileged) in the surroundings of a container', () => {
  let lab: ActiveDirectory
  let secret: string

  beforeAll(async () => {
    lab = await activeDirectory()
    // A secret of Kubernetes: root's, readable for a group, behind two symbolic links.
    const folder = join(lab.folder, 'secret')
    mkdirSync(join(folder, '..data_1'), { recursive: true })
    copyFileSync(lab.keytab('svc-mcp'), join(folder, '..data_1/svc-mcp.keytab'))
    chownSync(join(folder, '..data_1/svc-mcp.keytab'), 0, 10001)
    chmodSync(join(folder, '..data_1/svc-mcp.keytab'), 0o440)
    symlinkSync('..data_1', join(folder, '..data'))
    symlinkSync('..data/svc-mcp.keytab', join(folder, 'svc-mcp.keytab'))
    secret = join(folder, 'svc-mcp.keytab')
  }, 60_000)

  afterAll(() => lab?.dispose())

  const run = (env: NodeJS.ProcessEnv) =>
    spawnSync(
      'unshare',
      [
        ...PRIVATE,
        'sh',
        '-c',
        CONTAINER,
        'sh',
        process.execPath,
        '--input-type=module',
        '-e',
        SERVER,
        '--',
        lab.kdc,
        secret,
        BACKEND,
      ],
      { encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } },
    )

  test('a ticket is obtained and exported, without root, capabilities or a writable file system', () => {
    const { stdout, stderr } = run({})
    expect({ stdout, stderr }).toEqual({ stdout: '10001 alice@CORP.EXAMPLE Negotiate YII true\n', stderr: '' })
  })

  test('without a writable temporary folder there is none', () => {
    expect(run({ TMPDIR: '/var/empty', DISK_ONLY: 'yes' }).stderr).toMatch(/mkdtemp/)
  })
})
