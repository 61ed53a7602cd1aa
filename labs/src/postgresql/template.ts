import { createHash, randomBytes } from 'node:crypto'
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asServer, isRoot, run, UNPRIVILEGED } from '../programs.ts'
import { findPath, findProgram } from '../required.ts'
import { cloneTemplate } from '../template.ts'

export const DATABASE = 'app'
export const SUPERUSER = 'postgres'
export const ADMINISTRATOR = 'vault'

const CLUSTER = [
  `--username=${SUPERUSER}`,
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  '--no-locale',
  '--no-sync',
  '--no-instructions',
]

const roles = (password: string): string => `CREATE ROLE ${ADMINISTRATOR} LOGIN CREATEROLE PASSWORD '${password}'
GRANT pg_signal_backend TO ${ADMINISTRATOR}
CREATE DATABASE ${DATABASE}`

/** The path of a program of the server; on Debian they are not on PATH. */
export function serverProgram(name: string): string {
  const path = findProgram(name) ?? findPath(`/usr/lib/postgresql/*/bin/${name}`)
  if (path === undefined) throw new Error(`PostgreSQL is not installed: there is no ${name}`)
  return path
}

/** Passwords of the roles that are there from the start. */
export interface Passwords {
  readonly superuser: string
  readonly administrator: string
}

/** A fresh folder with an initialised database, which is made once per machine and version. */
export async function cloneDatabase(): Promise<Passwords & { readonly folder: string }> {
  const { stdout } = await run([serverProgram('postgres'), '--version'])
  const version = createHash('sha256').update(JSON.stringify([stdout, CLUSTER, roles('')]))
  const folder = await cloneTemplate(`postgresql-${version.digest('hex').slice(0, 16)}`, initialise)
  return { folder, ...(JSON.parse(readFileSync(join(folder, 'passwords.json'), 'utf8')) as Passwords) }
}

/** Fills `folder`: the data belong to who runs the server, the passwords to us. */
async function initialise(folder: string): Promise<void> {
  const data = join(folder, 'data')
  const passwords: Passwords = { superuser: randomPassword(), administrator: randomPassword() }
  writeFileSync(join(folder, 'passwords.json'), JSON.stringify(passwords), { mode: 0o600 })
  mkdirSync(data, { mode: 0o700 })
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, passwords.superuser, { mode: 0o600 })
  if (isRoot()) for (const path of [data, passwordFile]) chownSync(path, UNPRIVILEGED.uid, UNPRIVILEGED.gid)
  await must([serverProgram('initdb'), '-D', data, `--pwfile=${passwordFile}`, ...CLUSTER])
  rmSync(passwordFile)
  // In single-user mode the server takes one statement per line.
  await must([serverProgram('postgres'), '--single', '-F', '-D', data, 'postgres'], roles(passwords.administrator))
}

function randomPassword(): string {
  return randomBytes(24).toString('base64url')
}

async function must(command: readonly [string, ...string[]], input = ''): Promise<void> {
  const { status, stdout, stderr } = await run(asServer(command), { input: `${input}\n` })
  if (status !== 0) throw new Error(`${command[0]} failed: ${(stderr || stdout).trim()}`)
}
