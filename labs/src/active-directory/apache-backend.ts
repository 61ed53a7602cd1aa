import { once } from 'node:events'
import { chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { KeytabName } from './accounts.ts'
import type { ActiveDirectory } from './active-directory.ts'
import { startDaemon } from './daemon.ts'
import { UNPRIVILEGED, unprivileged } from './programs.ts'

/** What {@link apacheBackend} takes. */
export interface ApacheBackendOptions {
  /** The keytab of the service that it is. Default: `backend`, HTTP/backend.corp.example. */
  readonly keytab?: KeytabName | undefined
}

/** A running web server that lets nobody in without a ticket. */
export interface ApacheBackend extends AsyncDisposable {
  /** `http://127.x.y.z:<port>`. Each path answers with the user as the body, and in the header `x-remote-user`. */
  readonly origin: string
  dispose(): Promise<void>
}

/** Debian's folder of Apache's modules. */
export const APACHE_MODULES = '/usr/lib/apache2/modules'
const MODULES = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'rewrite', 'auth_gssapi']

/**
 * Apache with mod_auth_gssapi at the lab's address, ready in some 50 ms. It runs as `nobody` where root starts it.
 * @throws Error where it does not start.
 */
export async function apacheBackend(
  lab: Pick<ActiveDirectory, 'folder' | 'address' | 'krb5Conf' | 'keytab'>,
  { keytab = 'backend' }: ApacheBackendOptions = {},
): Promise<ApacheBackend> {
  const folder = mkdtempSync(join(lab.folder, 'apache-'))
  const port = await freePort(lab.address)
  copyFileSync(lab.keytab(keytab), join(folder, 'keytab'))
  writeFileSync(join(folder, 'apache.conf'), configuration(folder, lab.address, port))
  writeFileSync(join(folder, 'index.shtml'), '<!--#echo var="REMOTE_USER" -->\n')
  if (process.getuid?.() === 0)
    for (const path of [folder, join(folder, 'keytab')]) chownSync(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
  const daemon = await startDaemon({
    command: unprivileged('apache2', ['-f', join(folder, 'apache.conf'), '-DFOREGROUND']),
    env: { PATH: process.env['PATH'], KRB5_CONFIG: lab.krb5Conf, KRB5RCACHEDIR: folder },
    output: join(lab.folder, 'apache.out'),
    isReady: () => accepts(lab.address, port),
  })
  const dispose = async (): Promise<void> => {
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { origin: `http://${lab.address}:${port}`, dispose, [Symbol.asyncDispose]: dispose }
}

/** Without `GssapiAllowedMech` it would take NTLM where that is installed. */
function configuration(folder: string, address: string, port: number): string {
  return `ServerRoot ${folder}
ServerName backend.corp.example
Listen ${address}:${port}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/error.log
LogLevel info
DefaultRuntimeDir ${folder}
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
${[...MODULES, 'include', 'mime'].map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`).join('\n')}
TypesConfig /dev/null
DocumentRoot ${folder}
AddOutputFilter INCLUDES .shtml
RewriteEngine on
RewriteRule .* ${folder}/index.shtml [L]
<Directory ${folder}>
  Options +Includes
  AuthType GSSAPI
  AuthName lab
  GssapiCredStore keytab:${folder}/keytab
  GssapiAllowedMech krb5
  Require valid-user
  Header set x-remote-user %{REMOTE_USER}e
</Directory>
`
}

/** A port that was free a moment ago. */
async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
