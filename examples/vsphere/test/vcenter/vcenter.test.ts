import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { isAvailable, missing, vcenter as startVcenter, type VcenterLab } from '@mcp-delegation/labs/vsphere'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isNotAuthenticated, type Vcenter, type VcenterSession, vcenter } from '../../src/vcenter/index.ts'

const ALICE = 'alice@vsphere.local'

describe.runIf(isAvailable('the vSphere lab', missing()))('a client of a real vCenter', () => {
  let lab: VcenterLab
  let client: Vcenter
  let alice: VcenterSession
  const login = (name = ALICE): Promise<VcenterSession> => client.login(name, lab.users[name]?.password ?? '')
  beforeAll(async () => {
    lab = await startVcenter({ machines: 3, hosts: 2, datastores: 2 })
    client = vcenter({ url: lab.address, ca: readFileSync(lab.ca, 'utf8'), timeout: 5_000 })
    alice = await login()
  })
  afterAll(async () => {
    client.close()
    await lab.dispose()
  })

  describe('sessions', () => {
    test('are those of the user who logs in, as vCenter says', async () => {
      const bob = await login('bob@vsphere.local')
      expect(bob.userName).toBe('bob@vsphere.local')
      expect((await lab.sessions()).find(({ key }) => key === bob.key)?.userName).toBe('bob@vsphere.local')
      const seen = await bob.listSessions()
      expect(seen.filter(({ own }) => own)).toMatchObject([{ userName: 'bob@vsphere.local', ipAddress: '127.0.0.1' }])
      expect(seen.find(({ key }) => key === alice.key)).toMatchObject({ userName: ALICE, own: false })
      await bob.logout()
      expect((await lab.sessions()).map(({ key }) => key)).not.toContain(bob.key)
    })

    test('are not opened with a wrong password', async () => {
      const password = lab.users[ALICE]?.password ?? ''
      for (const [name, wrong] of [[ALICE, `${password}x`] as const, ['mallory', password] as const]) {
        const error = await client.login(name, wrong).catch((reason: unknown) => reason)
        expect(error).toMatchObject({ code: 'ERR_VCENTER_LOGIN', fault: 'InvalidLogin', begun: false })
        expect(inspect(error)).not.toContain(wrong)
      }
    })

    test('take names and passwords with markup in them', async () => {
      const [name, password] = [`<b>&"'@vsphere.local`, `]]>&amp;<!-- "'\r\n\t`]
      lab.setPassword(name, password)
      const session = await client.login(name, password)
      expect(session.userName).toBe(name)
      expect((await lab.sessions()).map(({ userName }) => userName)).toContain(name)
      await session.logout()
      await expect(client.login('a\u0000b', password)).rejects.toMatchObject({ code: 'ERR_VCENTER_INVALID' })
    })

    test('that an administrator ended are over for good', async () => {
      const session = await login()
      await lab.terminate(session.key)
      const machine = 'DC0_C0_RP0_VM0'
      for (const call of [
        () => session.power(machine, 'off'),
        () => session.listHosts(),
        () => session.currentTime(),
      ]) {
        const error = await call().catch((reason: unknown) => reason)
        expect(isNotAuthenticated(error)).toBe(true)
        expect(error).toMatchObject({ begun: false })
      }
      await session.logout()
      const other = await login()
      await alice.terminateSession(other.key)
      await expect(other.currentTime()).rejects.toMatchObject({ code: 'ERR_VCENTER_NOT_AUTHENTICATED' })
      await expect(alice.terminateSession(other.key)).rejects.toMatchObject({ fault: 'NotFound' })
    })

    test('end once, and show neither key nor cookie', async () => {
      const session = await login()
      expect(inspect(session, { depth: 10, showHidden: false })).not.toContain(session.key)
      expect(JSON.stringify([session, await session.listSessions()])).not.toContain(session.key)
      await session.logout()
      await session.logout()
      await expect(session.listHosts()).rejects.toMatchObject({ code: 'ERR_VCENTER_NOT_AUTHENTICATED' })
    })

    test('do not stay behind where the caller has gone', async () => {
      const logouts = async () =>
        (await lab.events()).filter(({ type, userName }) => type === 'UserLogoutSessionEvent' && userName === ALICE)
      const before = [(await logouts()).length, (await lab.sessions()).length] as const
      const gone = new AbortController()
      lab.pause()
      const opening = client.login(ALICE, lab.users[ALICE]?.password ?? '', { signal: gone.signal })
      gone.abort(new Error('gone'))
      await expect(opening).rejects.toThrow('gone')
      lab.resume()
      await expect.poll(async () => (await logouts()).length).toBe(before[0] + 1)
      expect(await lab.sessions()).toHaveLength(before[1])
    })
  })

  describe('lists', () => {
    test('tell of machines', async () => {
      const machines = await alice.listMachines()
      expect(machines.map(({ name }) => name).sort()).toEqual(['DC0_C0_RP0_VM0', 'DC0_C0_RP0_VM1', 'DC0_C0_RP0_VM2'])
      expect(machines[0]).toEqual({
        id: expect.stringMatching(/^vm-\d+$/),
        name: expect.any(String),
        power: 'on',
        template: false,
        host: expect.stringMatching(/^DC0_C0_H[01]$/),
        guest: 'otherGuest',
        cpus: 1,
        memoryMb: 32,
      })
    })

    test('tell of hosts, clusters, datastores and networks', async () => {
      const hosts = await alice.listHosts()
      expect(hosts.map(({ name }) => name).sort()).toEqual(['DC0_C0_H0', 'DC0_C0_H1'])
      expect(hosts[0]).toMatchObject({ connection: 'connected', inMaintenance: false, cores: 2, cpuMhz: 2294 })
      expect(hosts.reduce((sum, { machines }) => sum + machines, 0)).toBe(3)
      expect(await alice.listClusters()).toMatchObject([{ name: 'DC0_C0', hosts: 2, effectiveHosts: 2 }])
      const datastores = await alice.listDatastores()
      expect(datastores.map(({ name }) => name).sort()).toEqual(['LocalDS_0', 'LocalDS_1'])
      expect(datastores[0]?.freeBytes).toBeGreaterThan(0)
      expect((await alice.listNetworks()).map(({ name, type }) => [name, type])).toContainEqual([
        'DC0_DVPG0',
        'DistributedVirtualPortgroup',
      ])
    })

    test('have one entry in detail by its name or its id', async () => {
      const machine = await alice.machine('DC0_C0_RP0_VM1')
      expect(machine).toMatchObject({ name: 'DC0_C0_RP0_VM1', power: 'on', snapshots: [], host: expect.any(String) })
      expect(machine.uuid).toMatch(/^[\da-f-]{36}$/)
      expect(await alice.machine(machine.id)).toEqual(machine)
      const [host] = await alice.listHosts()
      expect(await alice.host(host?.id ?? '')).toEqual(host)
      for (const wanted of ['', 'DC0_C0', '*', machine.name.toLowerCase()])
        await expect(alice.machine(wanted)).rejects.toMatchObject({ code: 'ERR_VCENTER_NOT_FOUND' })
    })
  })

  describe('orders', () => {
    test('turn a machine off and on, reset and suspend it', async () => {
      const state = async () => (await alice.machine('DC0_C0_RP0_VM0')).power
      for (const [operation, expected] of [
        ['off', 'off'],
        ['on', 'on'],
        ['reset', 'on'],
        ['suspend', 'suspended'],
        ['on', 'on'],
      ] as const) {
        await alice.power('DC0_C0_RP0_VM0', operation)
        expect(await state()).toBe(expected)
      }
      await expect(alice.power('DC0_C0_RP0_VM0', 'on')).rejects.toMatchObject({
        code: 'ERR_VCENTER_FAULT',
        fault: 'InvalidPowerState',
        begun: true,
      })
    })

    test('ask the guest to end', async () => {
      await alice.power('DC0_C0_RP0_VM2', 'shutdown-guest')
      await expect.poll(async () => (await alice.machine('DC0_C0_RP0_VM2')).power).toBe('off')
      await alice.power('DC0_C0_RP0_VM2', 'on')
    })

    test('are logged by vCenter as the user whose session gave them', async () => {
      const last = Math.max(...(await lab.events()).map(({ key }) => key))
      const bob = await login('bob@vsphere.local')
      await bob.power('DC0_C0_RP0_VM1', 'off')
      await alice.power('DC0_C0_RP0_VM1', 'on')
      const since = (await lab.events()).filter(({ key }) => key > last)
      const who = (type: string) => since.filter((event) => event.type === type).map(({ userName }) => userName)
      expect(who('VmPoweredOffEvent')).toEqual(['bob@vsphere.local'])
      expect(who('VmPoweredOnEvent')).toEqual([ALICE])
      const newest = await bob.listEvents()
      expect(newest.find(({ type }) => type.startsWith('Vm'))).toMatchObject({
        type: 'VmPoweredOnEvent',
        userName: ALICE,
        message: expect.stringContaining('DC0_C0_RP0_VM1'),
      })
      expect(await bob.listEvents({ max: 3 })).toEqual(newest.slice(0, 3))
      await bob.logout()
    })

    test('make, go back to and remove snapshots', async () => {
      const first = await alice.createSnapshot('DC0_C0_RP0_VM0', { name: 'a < b', description: 'before & after' })
      const second = await alice.createSnapshot('DC0_C0_RP0_VM0', { name: 'second' })
      expect(await alice.listSnapshots('DC0_C0_RP0_VM0')).toEqual([
        { ...first, current: false },
        { ...second, current: true },
      ])
      expect(first).toMatchObject({ name: 'a < b', description: 'before & after', parent: undefined, current: true })
      expect(second.parent).toBe(first.id)
      await alice.revertToSnapshot('DC0_C0_RP0_VM0', 'a < b')
      expect((await alice.listSnapshots('DC0_C0_RP0_VM0')).map(({ current }) => current)).toEqual([true, false])
      await alice.createSnapshot('DC0_C0_RP0_VM0', { name: 'second' })
      await expect(alice.removeSnapshot('DC0_C0_RP0_VM0', 'second')).rejects.toMatchObject({
        code: 'ERR_VCENTER_AMBIGUOUS',
      })
      await alice.removeSnapshot('DC0_C0_RP0_VM0', second.id)
      await alice.removeSnapshot('DC0_C0_RP0_VM0', first.id)
      expect((await alice.listSnapshots('DC0_C0_RP0_VM0')).map(({ name }) => name)).toEqual(['second'])
      await alice.removeSnapshot('DC0_C0_RP0_VM0', 'second')
      expect(await alice.listSnapshots('DC0_C0_RP0_VM0')).toEqual([])
      await expect(alice.revertToSnapshot('DC0_C0_RP0_VM0', 'second')).rejects.toMatchObject({
        code: 'ERR_VCENTER_NOT_FOUND',
      })
    })

    test('make, clone, change and delete machines', async () => {
      const made = await alice.createMachine({ name: 'web & co', datastore: 'LocalDS_1', cpus: 2, memoryMb: 512 })
      expect(made).toMatchObject({ name: 'web & co', power: 'off', cpus: 2, memoryMb: 512, template: false })
      expect(made.host).toMatch(/^DC0_C0_H/)
      const copy = await alice.cloneMachine('web & co', 'web-2')
      expect(copy).toMatchObject({ name: 'web-2', power: 'off', cpus: 2, memoryMb: 512 })
      await expect(alice.cloneMachine('web & co', 'web-2')).rejects.toMatchObject({ fault: 'DuplicateName' })
      expect(await alice.reconfigureMachine('web-2', { name: 'web-3', memoryMb: 1_024 })).toEqual({
        ...copy,
        name: 'web-3',
        memoryMb: 1_024,
      })
      await alice.power('web-3', 'on')
      await expect(alice.deleteMachine('web-3')).rejects.toMatchObject({ fault: 'InvalidPowerState' })
      await alice.power('web-3', 'off')
      for (const name of ['web-3', made.id]) await alice.deleteMachine(name)
      expect(await alice.listMachines()).toHaveLength(3)
      for (const place of [{ cluster: 'none' }, { datastore: 'none' }])
        await expect(alice.createMachine({ name: 'x', ...place })).rejects.toMatchObject({
          code: 'ERR_VCENTER_NOT_FOUND',
        })
      await expect(alice.createMachine({ name: 'x' })).rejects.toMatchObject({ code: 'ERR_VCENTER_AMBIGUOUS' })
    })

    test('take a host out of service and back', async () => {
      await alice.enterMaintenance('DC0_C0_H0')
      expect((await alice.host('DC0_C0_H0')).inMaintenance).toBe(true)
      await alice.exitMaintenance('DC0_C0_H0')
      expect((await alice.host('DC0_C0_H0')).inMaintenance).toBe(false)
    })
  })

  describe('calls', () => {
    test('end with the reason of the signal', async () => {
      const reason = new Error('enough')
      await expect(alice.listMachines({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      const during = new AbortController()
      lab.pause()
      const listing = alice.listMachines({ signal: during.signal })
      setTimeout(() => during.abort(reason), 50)
      await expect(listing).rejects.toBe(reason)
      lab.resume()
      expect(await alice.listMachines()).toHaveLength(3)
    })

    test('are not answered by a server that hangs', async () => {
      const hasty = vcenter({ url: lab.address, ca: readFileSync(lab.ca, 'utf8'), timeout: 200 })
      const session = await hasty.login(ALICE, lab.users[ALICE]?.password ?? '')
      lab.pause()
      await expect(session.currentTime()).rejects.toMatchObject({ code: 'ERR_VCENTER_UNAVAILABLE', begun: true })
      lab.resume()
      await session.logout()
      hasty.close()
    })

    test('are for a server with the right certificate only', async () => {
      const trusting = vcenter({ url: lab.address })
      const error = await trusting.login(ALICE, lab.users[ALICE]?.password ?? '').catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'ERR_VCENTER_UNAVAILABLE', begun: false })
      trusting.close()
    })

    test('reach a server that came back, and not one that is gone', async () => {
      await lab.halt()
      await expect(alice.currentTime()).rejects.toMatchObject({ code: 'ERR_VCENTER_UNAVAILABLE' })
      await lab.restart()
      await expect(alice.currentTime()).rejects.toMatchObject({ code: 'ERR_VCENTER_NOT_AUTHENTICATED' })
      alice = await login()
      expect(await alice.listMachines()).toHaveLength(3)
    })
  })
})

test('options that can not be right are refused', () => {
  const url = 'https://vcenter.corp.example'
  for (const options of [
    { url: 'http://vcenter.corp.example' },
    { url: 'https://alice:secret@vcenter.corp.example' },
    { url: 'https://alice@vcenter.corp.example' },
    { url: 'vcenter' },
    { url, timeout: 0 },
    { url, taskTimeout: 2 ** 31 },
    { url, insecure: true },
  ])
    expect(() => vcenter(options)).toThrow(TypeError)
})
