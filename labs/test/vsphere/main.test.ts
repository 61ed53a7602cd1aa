import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { isAvailable, missing } from '../../src/vsphere/index.ts'
import { labProcess } from '../lab-process.ts'

describe.runIf(isAvailable('the vSphere lab', missing()))('the vSphere lab on the command line', () => {
  test('prints a command that logs in, and ends at SIGTERM', async () => {
    const lab = await labProcess('vsphere')
    const [command = ''] = lab.commands('Log in as alice')
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toContain(
      '<userName>alice@vsphere.local</userName>',
    )
    expect(await lab.end()).toEqual([0, null])
  })
})
