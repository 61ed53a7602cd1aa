import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAvailable, missingPackages } from '../../src/required.ts'
import { type SshIdentity, type SshServer, sshServer } from '../../src/ssh-server/index.ts'

const lacking = missingPackages(fileURLToPath(new URL('../../vault/debian.json', import.meta.url)))

describe.runIf(isAvailable('OpenSSH', lacking))('an SSH server of its own', () => {
  let folder: string
  let server: SshServer
  const keygen = (...args: readonly string[]): void => {
    execFileSync('ssh-keygen', ['-q', ...args], { cwd: folder })
  }
  /** A certificate of `authority` for a key, which may be given in PEM. */
  const certified = (
    authority: string,
    principals: string,
    more: readonly string[] = [],
    pem?: string,
  ): SshIdentity => {
    for (const name of ['key', 'key.pub', 'key-cert.pub']) rmSync(join(folder, name), { force: true })
    if (pem === undefined) keygen('-t', 'ed25519', '-N', '', '-f', 'key')
    else {
      writeFileSync(join(folder, 'key'), pem, { mode: 0o600 })
      writeFileSync(join(folder, 'key.pub'), execFileSync('ssh-keygen', ['-y', '-f', join(folder, 'key')]))
    }
    keygen('-s', authority, '-I', 'test', '-n', principals, ...more, 'key.pub')
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
    return { privateKey: read('key'), certificate: read('key-cert.pub') }
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ssh-'))
    for (const name of ['trusted', 'stranger']) keygen('-t', 'ed25519', '-N', '', '-f', name)
    server = await sshServer({ trustedUserCaKeys: readFileSync(join(folder, 'trusted.pub'), 'utf8') })
  }, 60_000)
  afterAll(async () => {
    await server.dispose()
    rmSync(folder, { recursive: true })
  })

  test('says whom the certificate let in', async () => {
    const account = userInfo().username
    expect(await server.login(certified('trusted', 'alice'))).toEqual({ account, principal: 'alice' })
    expect(await server.login(certified('trusted', 'eve,bob'))).toEqual({ account, principal: 'bob' })
  })

  test('takes keys in PEM', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    expect(await server.login(certified('trusted', 'alice', [], pem))).toMatchObject({ principal: 'alice' })
  })

  test.each([
    ['a principal that it does not know', 'trusted', 'eve', []],
    ['another authority', 'stranger', 'alice', []],
    ['a certificate that has expired', 'trusted', 'alice', ['-V', '-2h:-1h']],
    ['a host’s certificate', 'trusted', 'alice', ['-h']],
  ] as const)('refuses %s', async (_, authority, principals, more) => {
    expect(await server.login(certified(authority, principals, more))).toBeUndefined()
  })

  test('refuses a certificate of another key', async () => {
    const { certificate } = certified('trusted', 'alice')
    const { privateKey } = certified('trusted', 'alice')
    expect(await server.login({ privateKey, certificate })).toBeUndefined()
  })

  test('knows principals by plain names', async () => {
    await expect(sshServer({ trustedUserCaKeys: '', principals: ['a" b'] })).rejects.toThrow('"principals"')
  })

  test('leaves nothing behind', async () => {
    const other = await sshServer({ trustedUserCaKeys: readFileSync(join(folder, 'stranger.pub'), 'utf8') })
    expect(await other.login(certified('stranger', 'alice'))).toMatchObject({ principal: 'alice' })
    await other.dispose()
    expect(existsSync(other.folder)).toBe(false)
  })
})
