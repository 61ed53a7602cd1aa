import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { fileAudit } from '@mcp-delegation/core'
import { isAvailable, issuedSecrets, missing, vault } from '@mcp-delegation/labs/vault'
import pino from 'pino'
import { describe, expect, test } from 'vitest'
import { database } from '../../src/sources/database.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { pki } from '../../src/sources/pki.ts'
import { ssh } from '../../src/sources/ssh.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import { givePersonalRoles, optionsFor, registryOf, sessionsOf } from './support.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('what a real server issues', () => {
  test('is in no log, audit record, error or printed value, whatever happens', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vault-secrecy-'))
    const printed: string[] = []
    const log = pino({ level: 'debug' }, { write: (line) => void printed.push(line) })
    const auditPath = join(folder, 'audit.jsonl')
    const lab = await vault({ postgresql: true })
    try {
      const { mounts } = lab
      await givePersonalRoles(lab, ['dora'], { default_ttl: '2s', max_ttl: '10s' })
      await lab.request('POST', `${mounts.kv2}/data/users/dora/vcenter`, {
        data: { username: 'dora@vsphere.local', password: `a stored password ${Math.random()}` },
      })
      await lab.request('POST', `${mounts.kv2}/data/users/dora/broken`, {
        data: { password: `without a name ${Math.random()}` },
      })
      const module = vaultMapping(
        optionsFor(
          lab,
          {
            billing: database({ mount: mounts.database, role: '{principal}' }),
            vcenter: kv2({ mount: mounts.kv2, path: 'users/{principal}/vcenter' }),
            broken: kv2({ mount: mounts.kv2, path: 'users/{principal}/broken' }),
            hosts: ssh({ mount: mounts.ssh, role: 'user', principals: ['{principal}'] }),
            client: pki({ mount: mounts.pki, role: 'user', commonName: '{principal}' }),
            wrong: kv2({ mount: `${mounts.kv2}-misspelled`, path: 'users/{principal}/vcenter' }),
          },
          { timeout: 1_000 },
        ),
      )
      const { registry } = registryOf({ vault: module }, { log, audit: fileAudit(auditPath) })
      const sessionOf = sessionsOf(lab)
      const targets = ['billing', 'vcenter', 'broken', 'hosts', 'client', 'wrong'] as const
      const ask = async (subject: string): Promise<void> => {
        const session = await sessionOf(subject)
        for (const target of targets)
          try {
            const lease = await registry.delegate('vault', session, { target })
            printed.push(
              inspect(lease, { depth: 12, showHidden: true }),
              inspect(lease.value, { depth: 12, showHidden: true }),
            )
            printed.push(JSON.stringify(lease.value), String(lease.value))
            lease.invalidate()
            await lease[Symbol.asyncDispose]()
          } catch (error) {
            printed.push(
              inspect(error, { depth: 12, showHidden: true }),
              JSON.stringify(error),
              String((error as Error).stack),
            )
          }
      }
      await ask('dora')
      await ask('somebody-else')
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      await lab.seal()
      await ask('dora')
      await lab.unseal()
      await lab.kill()
      await ask('dora')
      await lab.restart()
      printed.push(
        inspect(module, { depth: 12, showHidden: true }),
        registry.describe(),
        inspect(registry, { depth: 12 }),
      )
      await registry[Symbol.asyncDispose]()
      printed.push(readFileSync(auditPath, 'utf8'))
      const all = printed.join('\n')
      const secrets = issuedSecrets(readFileSync(lab.issuedFile, 'utf8'))
      expect(secrets.size).toBeGreaterThan(8)
      expect([...secrets].filter((secret) => all.includes(secret))).toHaveLength(0)
      expect(all).toContain('dora@vsphere.local')
      expect(printed.some((line) => line.includes('"level":40'))).toBe(true)
    } finally {
      await lab.dispose()
      rmSync(folder, { recursive: true })
    }
  })
})
