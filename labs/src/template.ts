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

/** A fresh throw-away folder of ours that others may go through. A forgotten one is removed after this process ended. */
export function newFolder(): string {
  sweep()
  const folder = mkdtempSync(join(home(), `run-${process.pid}-`))
  chmodSync(folder, 0o711)
  return folder
}

/**
 * A fresh folder with a copy of what `make` puts into an empty one. It is made once per machine and `name`, which must
 * change with whatever makes another one: the first caller makes it, others wait for it, in whatever process they are.
 */
export async function cloneTemplate(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const source = await template(name, make)
  const folder = newFolder()
  const { status, stderr } = await run(['cp', '-a', '--reflink=auto', `${source}/.`, folder])
  if (status === 0) return folder
  rmSync(folder, { recursive: true })
  throw new Error(`${name} could not be copied: ${stderr.trim()}`)
}

async function template(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const path = join(home(), name)
  while (!existsSync(path)) {
    const unlock = lock(`${path}.lock`)
    if (unlock === undefined) {
      await delay(50)
      continue
    }
    try {
      if (!existsSync(path)) await fill(path, make)
    } finally {
      unlock()
    }
  }
  return path
}

async function fill(path: string, make: (folder: string) => Promise<void>): Promise<void> {
  const next = newFolder()
  try {
    await make(next)
    renameSync(next, path)
  } catch (error) {
    rmSync(next, { recursive: true })
    throw error
  }
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
