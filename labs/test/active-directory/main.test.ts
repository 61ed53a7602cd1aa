import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isAvailable, missing } from '../../src/active-directory/index.ts'
import { labProcess } from '../lab-process.ts'

describe.runIf(isAvailable('the Active Directory lab', missing()))('the lab on the command line', () => {
  test('prints commands that work, and leaves nothing behind', { timeout: 60_000 }, async () => {
    const { printed, commands: commandsAfter, end } = await labProcess('active-directory')
    const commands = commandsAfter('Delegate by hand')
    expect(commands).toHaveLength(5)
    const { stdout } = await promisify(execFile)('sh', ['-e', '-c', commands.join('\n')])
    expect(stdout).toBe('HTTP/backend.corp.example@CORP.EXAMPLE: kvno = 1, keytab entry valid\nbob@CORP.EXAMPLE\n')
    expect(await end()).toEqual([0, null])
    const folder = dirname(/KRB5_CONFIG +(\S+)/.exec(printed)?.[1] ?? '')
    expect([existsSync(dirname(folder)), existsSync(folder)]).toEqual([true, false])
  })
})
