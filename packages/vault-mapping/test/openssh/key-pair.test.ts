import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { isAvailable, missing } from '@mcp-delegation/labs/vault'
import { expect, test } from 'vitest'
import { sshKeyPair } from '../../src/openssh/key-pair.ts'

test.runIf(isAvailable('ssh-keygen', missing()))(
  'OpenSSH reads the private key, and finds the public key in it',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'key-pair-'))
    try {
      const { privateKey, publicKey } = await sshKeyPair()
      const file = join(folder, 'key')
      writeFileSync(file, privateKey.reveal(), { mode: 0o600 })
      expect(execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' }).trim()).toBe(publicKey)
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)

test('each pair is another one, whose private key is not shown', async () => {
  const [one, other] = [await sshKeyPair(), await sshKeyPair()]
  expect(one.publicKey).not.toBe(other.publicKey)
  expect(one.publicBytes).toHaveLength(32)
  expect(one.publicKey).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]{68}$/)
  expect(inspect(one)).not.toContain(one.privateKey.reveal().split('\n')[2])
})
