import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { activeDirectory, isAvailable, missing } from '@mcp-delegation/labs/active-directory'
import { expect, onTestFinished, test } from 'vitest'
import { profileText } from '../../../src/profile.ts'
import { isRunning, scratch } from '../../fixtures/fake-engine.ts'

const built = new URL('../../../dist/engine/native/hardening.js', import.meta.url).href
const parentScript = fileURLToPath(new URL('../../fixtures/parent.mjs', import.meta.url))

const withDomain = test.runIf(isAvailable('the Active Directory lab', missing()))

withDomain(
  'what was exported goes with a server that is killed, and so does its folder',
  async () => {
    const lab = await activeDirectory()
    onTestFinished(() => lab.dispose())
    const options = JSON.stringify({
      keytabPath: lab.keytab('svc-mcp'),
      profile: profileText({ realm: lab.realm, kdc: lab.kdc, ticketLifetime: 3_600_000 }),
    })
    for (let turn = 0; turn < 5; turn++) {
      const path = join(scratch(), 'private', 'ccache')
      mkdirSync(dirname(path))
      const server = spawn(process.execPath, [parentScript, 'wait', options], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, EXPORT_TO: path },
      })
      onTestFinished(() => void server.kill('SIGKILL'))
      const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string]
      const pid = Number(line.split(' ')[1])
      expect(existsSync(path)).toBe(true)
      // From anybody else the signal means nothing.
      process.kill(pid, 'SIGUSR2')
      server.kill('SIGKILL')
      await expect.poll(() => isRunning(pid), { timeout: 2000, interval: 10 }).toBe(false)
      expect(existsSync(dirname(path))).toBe(false)
    }
  },
  60_000,
)

withDomain(
  'SIGUSR2 does not end a process whose server lives',
  async () => {
    const lab = await activeDirectory()
    onTestFinished(() => lab.dispose())
    const options = JSON.stringify({
      keytabPath: lab.keytab('svc-mcp'),
      profile: profileText({ realm: lab.realm, kdc: lab.kdc, ticketLifetime: 3_600_000 }),
    })
    const server = spawn(process.execPath, [parentScript, 'wait', options], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void server.kill('SIGKILL'))
    const lines = createInterface({ input: server.stdout })
    const [line] = (await once(lines, 'line')) as [string]
    const pid = Number(line.split(' ')[1])
    process.kill(pid, 'SIGUSR2')
    server.kill('SIGUSR2')
    await once(lines, 'line')
    expect(isRunning(pid)).toBe(true)
  },
  60_000,
)

test('a process that only waits lives, and one whose main thread hangs does not', async () => {
  const script = `import(${JSON.stringify(built)}).then(({ endIfHung }) => {
    endIfHung(1)
    console.log('armed')
    setTimeout(() => {
      console.log('hangs')
      for (;;);
    }, 2000)
  })`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  expect(await once(child, 'exit')).toEqual([null, 'SIGALRM'])
  expect(said).toBe('armed\nhangs\n')
}, 20_000)
