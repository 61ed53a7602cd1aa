import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { accounts, keytabs } from './accounts.ts'
import { krb5Conf, smbConf } from './configuration.ts'
import { provision, SCRIPT } from './directory.ts'
import { run } from './programs.ts'

/**
 * The folder of all labs of this user. It lies where another user may go through, since the servers run as `nobody`
 * when root starts them; what is private in it has its own mode.
 */
function home(): string {
  const path = join(tmpdir(), `mcp-delegation-labs-${process.getuid?.()}`)
  mkdirSync(path, { recursive: true, mode: 0o711 })
  const { uid } = lstatSync(path)
  if (uid !== process.getuid?.()) throw new Error(`${path} belongs to somebody else`)
  return path
}

/**
 * A fresh folder with a copy of the provisioned domain, which is made once per machine and version: the first caller
 * provisions, others wait for it, in whatever process they are. Folders whose process is gone are removed.
 */
export async function cloneDomain(): Promise<string> {
  const source = await template()
  sweep()
  const folder = newFolder()
  const { status, stderr } = await run(['cp', '-a', '--reflink=auto', `${source}/.`, folder])
  if (status === 0) return folder
  rmSync(folder, { recursive: true })
  throw new Error(`the domain could not be copied: ${stderr.trim()}`)
}

function newFolder(): string {
  const folder = mkdtempSync(join(home(), `run-${process.pid}-`))
  chmodSync(folder, 0o711)
  return folder
}

async function template(): Promise<string> {
  const path = join(home(), `domain-${await version()}`)
  while (!existsSync(path)) {
    const unlock = lock(`${path}.lock`)
    if (unlock === undefined) {
      await delay(50)
      continue
    }
    try {
      if (!existsSync(path)) await make(path)
    } finally {
      unlock()
    }
  }
  return path
}

async function make(path: string): Promise<void> {
  const next = newFolder()
  try {
    await provision(next, '127.0.0.1')
    renameSync(next, path)
  } catch (error) {
    rmSync(next, { recursive: true })
    throw error
  }
}

/** Changes with whatever makes another domain. */
async function version(): Promise<string> {
  const { stdout } = await run(['samba', '--version'])
  const parts = [
    stdout,
    readFileSync(SCRIPT, 'utf8'),
    smbConf({ domain: '', address: '', ldap: false, smb: false }),
    krb5Conf('', ''),
    { accounts, keytabs },
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

/** A lock file with our process id. `undefined`: a living process has it. */
function lock(path: string): (() => void) | undefined {
  const own = `${path}.${process.pid}.${Math.random()}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, path)
    return () => unlinkSync(path)
  } catch {
    try {
      if (!isAlive(Number(readFileSync(path, 'utf8')))) unlinkSync(path)
    } catch {
      // Its owner was faster.
    }
    return undefined
  } finally {
    unlinkSync(own)
  }
}

function sweep(): void {
  for (const name of readdirSync(home())) {
    const pid = Number(/^run-(\d+)-/.exec(name)?.[1])
    if (pid > 0 && !isAlive(pid)) rmSync(join(home(), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
