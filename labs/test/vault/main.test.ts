import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isAvailable, missing } from '../../src/vault/index.ts'
import { labProcess } from '../lab-process.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('the lab on the command line', () => {
  test('prints commands that work, and leaves nothing behind', { timeout: 60_000 }, async () => {
    const { printed, commands: commandsAfter, end } = await labProcess('vault')
    const commands = commandsAfter('Log in as alice')
    expect(commands).toHaveLength(5)
    const { stdout } = await promisify(execFile)('sh', ['-e', '-c', commands.join('\n')])
    const [secret, user] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { data: Record<string, unknown> })
    expect(secret?.data['data']).toEqual({ username: 'alice', password: 'from-the-lab' })
    expect(user?.data['username']).toMatch(/^v-/)
    expect(await end()).toEqual([0, null])
    const folder = dirname(/VAULT_CACERT +(\S+)/.exec(printed)?.[1] ?? '')
    expect([existsSync(dirname(folder)), existsSync(folder)]).toEqual([true, false])
  })
})
