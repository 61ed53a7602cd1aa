import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { engineFor, orderOf, principalOf } from './domain.mjs'

/** A C program that makes tokens for `target` with the ticket in a cache file, compiled for this machine. */
export async function startCLoop(lab, path, target) {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-delegation-bench-'))
  const program = join(folder, 'token-loop')
  const source = fileURLToPath(new URL('token-loop.c', import.meta.url))
  try {
    execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-o', program, source, '-lgssapi_krb5', '-lkrb5'])
    const child = spawn(program, [`FILE:${path}`, principalOf(target)], {
      env: { KRB5_CONFIG: lab.krb5Conf, KRB5CCNAME: 'MEMORY:nobody' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(child, 'spawn')
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    return {
      async run(calls) {
        child.stdin.write(`${calls}\n`)
        const { value, done } = await lines.next()
        if (done) throw new Error('the C loop has ended')
        const [wall, cpu] = value.split(' ').map(Number)
        return { wall, cpu }
      },
      end: () => child.stdin.end(),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The same by the package's native side, in a helper process as the package starts it, with a ticket of its own. */
export async function startHelperLoop(lab, user, target) {
  const program = fileURLToPath(new URL('helper-loop.mjs', import.meta.url))
  const engine = engineFor(lab, { command: { file: process.execPath, args: [program] } })
  const ticket = await engine.obtain(orderOf(user, target), { signal: new AbortController().signal })
  return {
    run: async (calls) => JSON.parse(Buffer.from(await ticket.token(Buffer.from(`${calls}`))).toString()),
    end: () => engine.dispose(),
  }
}
