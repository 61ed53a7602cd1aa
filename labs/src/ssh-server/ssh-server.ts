import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { startDaemon } from '../daemon.ts'
import { accepts, freeAddress, freePort } from '../loopback.ts'
import { isRoot, run } from '../programs.ts'
import { findProgram } from '../required.ts'
import { newFolder } from '../template.ts'

/** What {@link sshServer} takes. */
export interface SshServerOptions {
  /** The public keys of the authorities whose user certificates it takes, as in a file of that name, a line each. */
  readonly trustedUserCaKeys: string
  /** The principals that are let in. Default: `alice`, `bob`. */
  readonly principals?: readonly string[] | undefined
}

/** A key with the certificate for it. */
export interface SshIdentity {
  /** In a format that `ssh` reads: PEM or OpenSSH's own. */
  readonly privateKey: string
  /** The line `ssh-…-cert-v01@openssh.com AAAA…`. */
  readonly certificate: string
}

/** Whom the server saw. */
export interface SshGuest {
  /** The account of this machine that the commands ran as. */
  readonly account: string
  /** The principal of the certificate that opened the door. */
  readonly principal: string
}

/** A running SSH server that lets nobody in without a certificate. */
export interface SshServer extends AsyncDisposable {
  /** An address of the loopback network: 127.x.y.z. */
  readonly host: string
  readonly port: number
  /** The one account that all principals share: the one that runs this process. */
  readonly account: string
  /** The throw-away folder with all that it holds. */
  readonly folder: string
  /** Logs in with OpenSSH's client. `undefined` where the server refuses; other failures reject. */
  login(identity: SshIdentity): Promise<SshGuest | undefined>
  /** Ends it and removes the folder. */
  dispose(): Promise<void>
}

/**
 * A real OpenSSH server on a loopback address of its own, in some hundred milliseconds. Whoever gets in can run nothing
 * but the command that says who it was. It runs as the user of this process, and ends with it, however that ends.
 * @throws Error where it is not installed, or does not start.
 */
export async function sshServer(options: SshServerOptions): Promise<SshServer> {
  const { trustedUserCaKeys, principals = ['alice', 'bob'] } = options
  if (!principals.every((name) => /^[\w.@-]+$/.test(name))) throw new TypeError('"principals" must be plain names')
  const folder = newFolder()
  try {
    return await start(folder, trustedUserCaKeys, principals)
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
}

async function start(folder: string, authorities: string, principals: readonly string[]): Promise<SshServer> {
  const host = freeAddress()
  const port = await freePort(host)
  const account = userInfo().username
  const conf = join(folder, 'sshd_config')
  const hostKey = join(folder, 'host_key')
  await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', hostKey])
  const [type, key] = readFileSync(`${hostKey}.pub`, 'utf8').split(' ')
  writeFileSync(join(folder, 'known_hosts'), `[${host}]:${port} ${type} ${key}\n`)
  writeFileSync(join(folder, 'authorities'), `${authorities.trim()}\n`)
  const lines = principals.map((name) => `environment="PRINCIPAL=${name}" ${name}\n`)
  writeFileSync(join(folder, 'principals'), lines.join(''))
  writeFileSync(conf, configuration(folder, host, port))
  // The folder that sshd locks itself into; whoever starts it for the machine makes it.
  if (isRoot()) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const daemon = await startDaemon({
    // It starts itself again for each connection, and takes its own path for that.
    command: [findProgram('sshd') ?? 'sshd', '-D', '-e', '-f', conf],
    env: { PATH: process.env['PATH'] },
    output: join(folder, 'sshd.out'),
    isReady: () => accepts(host, port),
  })
  const dispose = async (): Promise<void> => {
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    host,
    port,
    account,
    folder,
    login: async (identity) => {
      const files = mkdtempSync(join(folder, 'login-'))
      try {
        const options = await clientOptions(folder, files, identity)
        const to = ['-p', String(port), '-l', account, host]
        const { status, stdout, stderr } = await run(['ssh', '-F', 'none', ...options, ...to])
        if (status === 255 && stderr.includes('Permission denied')) return undefined
        const [guest, principal] = stdout.trim().split(' ')
        if (guest === undefined || principal === undefined) throw new Error(`ssh failed: ${stderr.trim()}`)
        return { account: guest, principal }
      } finally {
        rmSync(files, { recursive: true })
      }
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

// The files lie below a folder that everybody may write to, which strict modes refuse.
function configuration(folder: string, host: string, port: number): string {
  return `ListenAddress ${host}:${port}
HostKey ${folder}/host_key
PidFile none
StrictModes no
UsePAM no
AuthenticationMethods publickey
AuthorizedKeysFile none
TrustedUserCAKeys ${folder}/authorities
AuthorizedPrincipalsFile ${folder}/principals
PermitUserEnvironment PRINCIPAL
PermitRootLogin prohibit-password
DisableForwarding yes
PermitTTY no
ForceCommand echo "$(id -un) $PRINCIPAL"
LogLevel VERBOSE
`
}

/** Writes what the client needs into `files`. */
async function clientOptions(
  folder: string,
  files: string,
  { privateKey, certificate }: SshIdentity,
): Promise<readonly string[]> {
  const key = join(files, 'key')
  writeFileSync(key, `${privateKey.trimEnd()}\n`, { mode: 0o600 })
  // Without its public half beside it, `ssh` does not see that a key in PEM belongs to the certificate.
  writeFileSync(`${key}.pub`, await must(['ssh-keygen', '-y', '-f', key]))
  writeFileSync(join(files, 'certificate'), `${certificate.trimEnd()}\n`)
  const options = [
    `IdentityFile=${key}`,
    `CertificateFile=${files}/certificate`,
    `UserKnownHostsFile=${folder}/known_hosts`,
    'GlobalKnownHostsFile=none',
    'StrictHostKeyChecking=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
    'PreferredAuthentications=publickey',
    'ConnectTimeout=5',
  ]
  return options.flatMap((option) => ['-o', option])
}

async function must(command: readonly [string, ...string[]]): Promise<string> {
  const { status, stdout, stderr } = await run(command)
  if (status !== 0) throw new Error(`${command[0]} failed: ${stderr.trim()}`)
  return stdout
}
