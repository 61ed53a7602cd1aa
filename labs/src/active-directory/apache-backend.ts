import { chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startDaemon } from '../daemon.ts'
import { accepts, freePort } from '../loopback.ts'
import { asServer, isRoot, run, UNPRIVILEGED } from '../programs.ts'
import type { KeytabName } from './accounts.ts'
import type { ActiveDirectory } from './active-directory.ts'

/** What {@link apacheBackend} takes. */
export interface ApacheBackendOptions {
  /** The keytab of the service that it is. Default: `backend`, HTTP/backend.corp.example. */
  readonly keytab?: KeytabName | undefined
  /** Whether it speaks TLS, with a certificate of its own for `backend.corp.example`. Default: no. */
  readonly tls?: boolean | undefined
}

/** A running web server that lets nobody in without a ticket. */
export interface ApacheBackend extends AsyncDisposable {
  /** `http://127.x.y.z:<port>`. Each path answers with the user as the body, and in the header `x-remote-user`. */
  readonly origin: string
  /** Its certificate in PEM, with TLS. */
  readonly certificate: string | undefined
  dispose(): Promise<void>
}

const MODULE_FOLDER = '/usr/lib/apache2/modules'
const MODULES = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'rewrite', 'include', 'auth_gssapi']

/**
 * Apache with mod_auth_gssapi at the lab's address, ready in some 30 ms. It runs as `nobody` where root starts it. Each
 * request must bring its own ticket; mod_auth_gssapi 1.6 ignores channel bindings.
 * @throws Error where it does not start.
 */
export async function apacheBackend(
  lab: Pick<ActiveDirectory, 'folder' | 'address' | 'krb5Conf' | 'keytab'>,
  { keytab = 'backend', tls = false }: ApacheBackendOptions = {},
): Promise<ApacheBackend> {
  const folder = mkdtempSync(join(lab.folder, 'apache-'))
  const files = { keytab: join(folder, 'keytab'), certificate: join(folder, 'certificate'), key: join(folder, 'key') }
  const port = await freePort(lab.address)
  copyFileSync(lab.keytab(keytab), files.keytab)
  if (tls) await certify(files.certificate, files.key)
  writeFileSync(join(folder, 'apache.conf'), configuration(folder, lab.address, port, tls))
  writeFileSync(join(folder, 'index.shtml'), '<!--#echo var="REMOTE_USER" -->\n')
  const certificate = tls ? readFileSync(files.certificate, 'utf8') : undefined
  if (isRoot()) for (const path of [folder, files.keytab]) chownSync(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
  if (isRoot() && tls) chownSync(files.key, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
  const daemon = await startDaemon({
    command: asServer(['apache2', '-f', join(folder, 'apache.conf'), '-DFOREGROUND']),
    env: { PATH: process.env['PATH'], KRB5_CONFIG: lab.krb5Conf, KRB5RCACHEDIR: folder },
    output: join(lab.folder, 'apache.out'),
    isReady: () => accepts(lab.address, port),
  })
  const dispose = async (): Promise<void> => {
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  const origin = `${tls ? 'https' : 'http'}://${lab.address}:${port}`
  return { origin, certificate, dispose, [Symbol.asyncDispose]: dispose }
}

async function certify(certificate: string, key: string): Promise<void> {
  const name = ['-subj', '/CN=backend.corp.example', '-addext', 'subjectAltName=DNS:backend.corp.example']
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '2']
  const { status, stderr } = await run(['openssl', 'req', ...kind, ...name, '-keyout', key, '-out', certificate])
  if (status !== 0) throw new Error(`no certificate: ${stderr}`)
}

// Connections are closed by clients alone: a request on one that is just being closed here would be lost. Apache closes
// idle ones also where it runs out of threads.
function configuration(folder: string, address: string, port: number, tls: boolean): string {
  const modules = [...MODULES, ...(tls ? ['ssl'] : [])]
  return `ServerRoot ${folder}
ServerName backend.corp.example
Listen ${address}:${port}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/error.log
LogLevel info
DefaultRuntimeDir ${folder}
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
MinSpareThreads 1
MaxKeepAliveRequests 0
KeepAliveTimeout 60
${modules.map((name) => `LoadModule ${name}_module ${MODULE_FOLDER}/mod_${name}.so`).join('\n')}
${tls ? `SSLEngine on\nSSLCertificateFile ${folder}/certificate\nSSLCertificateKeyFile ${folder}/key` : ''}
DocumentRoot ${folder}
RewriteEngine on
RewriteRule .* ${folder}/index.shtml [L]
<Directory ${folder}>
  Options +Includes
  SetOutputFilter INCLUDES
  AuthType GSSAPI
  AuthName lab
  GssapiCredStore keytab:${folder}/keytab
  GssapiAllowedMech krb5
  Require valid-user
  Header set x-remote-user %{REMOTE_USER}e
</Directory>
`
}
