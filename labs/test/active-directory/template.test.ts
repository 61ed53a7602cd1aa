import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAvailable, missing } from '../../src/active-directory/index.ts'

/** What `npm test` builds before it runs the tests. */
const LAB = new URL('../../dist/active-directory/index.js', import.meta.url)
const SCRIPT = `
  import { activeDirectory } from ${JSON.stringify(LAB.href)}
  const lab = await activeDirectory()
  const { status } = await lab.run('kinit', ['-k', '-t', lab.keytab('users'), 'alice'])
  process.stdout.write(status + ' ' + lab.domainSid)
  await lab.dispose()
`

describe.runIf(isAvailable('the Active Directory lab', missing()))('on a new machine', () => {
  let temporary: string
  let home: string
  let printed: readonly string[]
  const start = async (): Promise<string> => {
    const env = { ...process.env, TMPDIR: temporary }
    return (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], { env })).stdout
  }
  beforeAll(async () => {
    temporary = mkdtempSync(join(tmpdir(), 'new-machine-'))
    // The servers may run as another user.
    chmodSync(temporary, 0o711)
    home = join(temporary, `mcp-delegation-labs-${process.getuid?.()}`)
    printed = await Promise.all([start(), start(), start()])
  }, 120_000)
  afterAll(() => rmSync(temporary, { recursive: true }))

  test('processes that start labs at once provision one domain', () => {
    expect(printed).toEqual([expect.stringMatching(/^0 S-1-5-21-/), printed[0], printed[0]])
    expect(readdirSync(home)).toEqual([expect.stringMatching(/^domain-[0-9a-f]{16}$/)])
  })

  test('what a killed process left is in nobody’s way', { timeout: 120_000 }, async () => {
    const [domain = ''] = readdirSync(home)
    rmSync(join(home, domain), { recursive: true })
    const gone = 2 ** 22 - 1
    writeFileSync(join(home, `${domain}.lock`), String(gone))
    mkdirSync(join(home, `run-${gone}-abcdef`))
    expect(await start()).toMatch(/^0 /)
    expect(readdirSync(home)).toEqual([domain])
  })
})
