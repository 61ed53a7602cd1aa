import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isAvailable, missing } from '../../src/active-directory/index.ts'

/** What `npm test` builds before it runs the tests. */
const MAIN = fileURLToPath(new URL('../../dist/active-directory/main.js', import.meta.url))

describe.runIf(isAvailable('the Active Directory lab', missing()))('the lab on the command line', () => {
  test('prints commands that work, and leaves nothing behind', { timeout: 60_000 }, async () => {
    const lab = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exit = once(lab, 'exit')
    let printed = ''
    for await (const chunk of lab.stdout.setEncoding('utf8')) {
      printed += chunk
      if (printed.includes('Ctrl-C ends it.')) break
    }
    const commands = printed.slice(printed.indexOf('Delegate by hand')).match(/^ {2}\S.*$/gm) ?? []
    expect(commands).toHaveLength(5)
    const { stdout } = await promisify(execFile)('sh', ['-e', '-c', commands.join('\n')])
    expect(stdout).toBe('HTTP/backend.corp.example@CORP.EXAMPLE: kvno = 1, keytab entry valid\nbob@CORP.EXAMPLE\n')
    lab.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
    const folder = dirname(/KRB5_CONFIG +(\S+)/.exec(printed)?.[1] ?? '')
    expect([existsSync(dirname(folder)), existsSync(folder)]).toEqual([true, false])
  })
})
