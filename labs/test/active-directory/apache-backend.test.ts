import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ActiveDirectory,
  type ApacheBackend,
  activeDirectory,
  apacheBackend,
  isAvailable,
  missing,
} from '../../src/active-directory/index.ts'

describe.runIf(isAvailable('the Active Directory lab', missing()))('the web server', () => {
  let lab: ActiveDirectory
  beforeAll(async () => {
    lab = await activeDirectory()
    for (const user of ['alice', 'bob'])
      await lab.run('kinit', ['-k', '-t', lab.keytab('users'), user], { ccache: user })
  }, 60_000)
  afterAll(() => lab?.dispose())

  /** What curl gets: status, x-remote-user, body. */
  async function ask({ origin, certificate }: ApacheBackend, ccache: string, ...more: string[]): Promise<string[]> {
    const { protocol, port } = new URL(origin)
    const host = `backend.corp.example:${port}`
    const ca = join(lab.folder, 'ca.pem')
    if (certificate !== undefined) writeFileSync(ca, certificate)
    const args = [
      '-sS',
      '--resolve',
      `${host}:${lab.address}`,
      '--cacert',
      ca,
      '-w',
      '\n%{http_code} %header{x-remote-user}',
    ]
    const { stdout, stderr } = await lab.run('curl', [...args, ...more, `${protocol}//${host}/any/path?x=1`], {
      ccache,
    })
    return stdout === '' ? [stderr.trim()] : stdout.trim().split(/\s*\n/).reverse()
  }
  const negotiate = ['--negotiate', '-u', ':']

  test('says who asks', async () => {
    await using backend = await apacheBackend(lab)
    for (const user of ['alice', 'bob', 'alice']) {
      const name = `${user}@CORP.EXAMPLE`
      expect(await ask(backend, user, ...negotiate)).toEqual([`200 ${name}`, name])
    }
  })

  test('lets nobody in without a ticket', async () => {
    await using backend = await apacheBackend(lab)
    expect((await ask(backend, 'alice'))[0]).toBe('401')
    expect((await ask(backend, 'nobody', ...negotiate))[0]).toBe('401')
  })

  test('takes no ticket for another service', async () => {
    await using backend = await apacheBackend(lab, { keytab: 'secret' })
    expect((await ask(backend, 'alice', ...negotiate))[0]).toBe('401')
  })

  test('speaks TLS', async () => {
    await using backend = await apacheBackend(lab, { tls: true })
    expect(backend.origin).toMatch(/^https:/)
    expect(await ask(backend, 'alice', ...negotiate)).toEqual(['200 alice@CORP.EXAMPLE', 'alice@CORP.EXAMPLE'])
  })

  test('is gone when it is disposed', async () => {
    const backend = await apacheBackend(lab)
    await backend.dispose()
    expect(await ask(backend, 'alice')).toEqual(['000'])
  })
})
