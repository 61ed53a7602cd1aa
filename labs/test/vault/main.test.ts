import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isAvailable, missing } from '../../src/vault/index.ts'

/** What `npm test` builds before it runs the tests. */
const MAIN = fileURLToPath(new URL('../../dist/vault/main.js', import.meta.url))

describe.runIf(isAvailable('the Vault lab', missing()))('the lab on the command line', () => {
  test('prints commands that work, and leaves nothing behind', { timeout: 60_000 }, async () => {
    const lab = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exit = once(lab, 'exit')
    let printed = ''
    for await (const chunk of lab.stdout.setEncoding('utf8')) {
      printed += chunk
      if (printed.includes('Ctrl-C ends it.')) break
    }
    const commands = printed.slice(printed.indexOf('Log in as alice')).match(/^ {2}\S.*$/gm) ?? []
    expect(commands).toHaveLength(5)
    const { stdout } = await promisify(execFile)('sh', ['-e', '-c', commands.join('\n')])
    const [secret, user] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { data: Record<string, unknown> })
    expect(secret?.data['data']).toEqual({ username: 'alice', password: 'from-the-lab' })
    expect(user?.data['username']).toMatch(/^v-/)
    lab.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
    const folder = dirname(/VAULT_CACERT +(\S+)/.exec(printed)?.[1] ?? '')
    expect([existsSync(dirname(folder)), existsSync(folder)]).toEqual([true, false])
  })
})
