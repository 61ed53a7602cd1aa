import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAvailable, missing, type VaultCluster, vaultCluster } from '../../src/vault/index.ts'
import { login } from './login.ts'

describe.runIf(isAvailable('the Vault lab', missing()))('a cluster', () => {
  let lab: VaultCluster
  beforeAll(async () => {
    lab = await vaultCluster()
  }, 60_000)
  afterAll(() => lab?.dispose())

  test('answers at a standby, too', async () => {
    const leader = await lab.leader()
    expect(lab.nodes).toHaveLength(3)
    expect(await lab.request('GET', 'sys/health')).toMatchObject({ status: 200 })
    const statuses = await Promise.all(
      lab.nodes.map(async (node) => [node === leader, (await node.ask('GET', 'sys/health')).status]),
    )
    expect(statuses.sort()).toEqual([
      [false, 429],
      [false, 429],
      [true, 200],
    ])
  })

  test.each(['kill', 'pause'] as const)(
    'elects another leader after a %s, and lets the old one come back',
    { timeout: 60_000 },
    async (fault) => {
      const token = await login(lab, 'alice')
      const old = await lab.leader()
      await old[fault]()
      const next = await lab.leader()
      expect(next).not.toBe(old)
      expect(await lab.request('GET', 'auth/token/lookup-self', undefined, { token })).toMatchObject({ status: 200 })
      if (fault === 'pause') old.resume()
      else await old.restart()
      await expect.poll(async () => (await old.ask('GET', 'sys/health')).status, { timeout: 20_000 }).toBe(429)
    },
  )
})
