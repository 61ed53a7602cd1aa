import { isDelegationError, type Session } from '@mcp-delegation/core'
import { isAvailable, missing, unstoppableBecause, type VaultCluster, vaultCluster } from '@mcp-delegation/labs/vault'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kv2 } from '../../src/sources/kv2.ts'
import { pki } from '../../src/sources/pki.ts'
import { vaultMapping } from '../../src/vault-mapping.ts'
import { eventually, optionsFor, registryOf, sessionsOf } from './support.ts'

const DEADLINE = 3_000

describe.runIf(isAvailable('a cluster of Vault servers', [...missing(), ...unstoppableBecause()]))(
  'a real cluster of three nodes',
  () => {
    let lab: VaultCluster
    let sessionOf: (sub: string) => Promise<Session>
    beforeAll(async () => {
      lab = await vaultCluster()
      for (let count = 0; count < 60; count++)
        await lab.request('POST', `${lab.mounts.kv2}/data/users/user-${count}/vcenter`, {
          data: { username: `user-${count}@vsphere.local`, password: `password-of-user-${count}` },
        })
      sessionOf = sessionsOf(lab)
    }, 120_000)
    afterAll(() => lab?.dispose())

    const vcenter = { target: 'vcenter' } as const
    function setting(address: readonly string[]) {
      const { ca, mounts, tokens } = lab
      const targets = {
        vcenter: kv2({ mount: lab.mounts.kv2, path: 'users/{principal}/vcenter' }),
        client: pki({ mount: lab.mounts.pki, role: 'user', commonName: '{principal}' }),
      }
      return registryOf({
        vault: vaultMapping(
          optionsFor({ address: '', ca, mounts, tokens }, targets, { address, timeout: 1_000, deadline: DEADLINE }),
        ),
      })
    }

    test('a standby serves, stored secrets and what is made', async () => {
      const leader = await lab.leader()
      const standby = lab.nodes.filter((node) => node !== leader).map(({ address }) => address)
      const { registry } = setting(standby)
      const session = await sessionOf('user-0')
      // A standby says for a while that its KV engine is not ready.
      const lease = await eventually(
        () => registry.delegate('vault', session, vcenter).catch((error: Error) => error),
        (answer) => !(answer instanceof Error),
      )
      expect(lease).toMatchObject({ principal: 'user-0@vsphere.local' })
      expect((await registry.delegate('vault', session, { target: 'client' })).value).toMatchObject({
        kind: 'certificate',
      })
      expect(await registry.check()).toEqual({ vault: undefined })
      await registry[Symbol.asyncDispose]()
    })

    test.each(['kill', 'pause'] as const)(
      'a leader that ends by %s is outlived: failures are typed and in time, and it goes on',
      async (how) => {
        const { registry } = setting(lab.nodes.map(({ address }) => address))
        const leader = await lab.leader()
        let next = 0
        const ask = async (): Promise<string> => {
          const name = `user-${next++ % 60}`
          const session = await sessionOf(name)
          const start = performance.now()
          try {
            const { value } = await registry.delegate('vault', session, vcenter)
            return (value as { username: string }).username === `${name}@vsphere.local` ? 'served' : 'wrong'
          } catch (error) {
            if (performance.now() - start > DEADLINE * 1.1 + 300) return 'late'
            return isDelegationError(error) ? error.code : String(error)
          }
        }
        expect(await ask()).toBe('served')
        await leader[how]()
        try {
          const seen = new Set<string>()
          const last = await eventually(
            async () => {
              const outcome = await ask()
              seen.add(outcome)
              return outcome
            },
            (outcome) => outcome === 'served',
            40_000,
          )
          expect(last).toBe('served')
          expect(
            [...seen].filter((outcome) => outcome !== 'served' && outcome !== 'ERR_DELEGATION_UNAVAILABLE'),
          ).toEqual([])
          for (let count = 0; count < 10; count++) expect(await ask()).toBe('served')
        } finally {
          if (how === 'pause') leader.resume()
          else await leader.restart()
        }
        await registry[Symbol.asyncDispose]()
      },
      90_000,
    )
  },
)
