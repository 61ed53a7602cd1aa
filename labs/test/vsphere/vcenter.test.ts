import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accepts } from '../../src/loopback.ts'
import { UNPRIVILEGED } from '../../src/programs.ts'
import { isAvailable, type Login, missing, type VcenterLab, vcenter } from '../../src/vsphere/index.ts'
import { currentTime, login, soap } from './soap.ts'

describe.runIf(isAvailable('the vSphere lab', missing()))('a vCenter of its own', () => {
  let lab: VcenterLab
  let alice: Login
  beforeAll(async () => {
    lab = await vcenter({ users: ['alice', 'bob', 'carol'], machines: 2, hosts: 1 })
    alice = lab.users['alice'] as Login
  })
  afterAll(() => lab.dispose())

  test('tells right passwords from wrong ones', async () => {
    for (const user of [...Object.values(lab.users), lab.administrator]) {
      expect((await login(lab, user)).status).toBe(200)
      for (const password of [`${user.password}x`, '', (user === alice ? lab.administrator : alice).password])
        expect((await login(lab, { ...user, password })).body).toContain('InvalidLogin')
    }
    for (const username of ['nobody', '', 'dave'])
      expect((await login(lab, { username, password: alice.password })).body).toContain('InvalidLogin')
  })

  test('takes another password, and none of an account that is gone; sessions go on', async () => {
    const bob = lab.users['bob'] as Login
    const { cookie } = await login(lab, bob)
    lab.setPassword('bob', 'next')
    expect((await login(lab, bob)).status).toBe(500)
    expect((await login(lab, { ...bob, password: 'next' })).status).toBe(200)
    lab.setPassword('bob', undefined)
    expect((await login(lab, { ...bob, password: 'next' })).status).toBe(500)
    expect((await currentTime(lab, cookie)).status).toBe(200)
    lab.setPassword('bob', bob.password)
  })

  test('says who is logged in, and ends a session for an administrator', async () => {
    const before = await lab.sessions()
    const [first, second] = [await login(lab, alice), await login(lab, alice)]
    const [one, other, ...rest] = (await lab.sessions()).filter(({ key }) => !before.some((known) => known.key === key))
    expect(rest).toEqual([])
    expect([one, other]).toMatchObject([{ userName: 'alice' }, { userName: 'alice' }])
    expect(one?.loginAt.getTime()).toBeLessThanOrEqual(other?.loginAt.getTime() ?? 0)
    expect(first.cookie).toBe(`vmware_soap_session=${one?.key}`)

    await lab.terminate(one?.key ?? '')
    expect((await currentTime(lab, first.cookie)).body).toContain('NotAuthenticated')
    expect((await currentTime(lab, second.cookie)).status).toBe(200)
    expect((await lab.sessions()).map(({ key }) => key)).not.toContain(one?.key)
    await expect(lab.terminate(one?.key ?? '')).rejects.toThrow('was not asked')
  })

  test('ends a session that is idle for too long', async () => {
    await using brief = await vcenter({ machines: 1, sessionTimeout: 300 })
    const { cookie } = await login(brief, brief.administrator)
    await expect.poll(async () => (await brief.sessions()).length, { timeout: 8_000 }).toBe(0)
    expect((await currentTime(brief, cookie)).body).toContain('NotAuthenticated')
  })

  test('logs whose session did what', async () => {
    const [before] = (await lab.events()).slice(-1)
    const { cookie } = await login(lab, alice)
    const machine = /<obj type="VirtualMachine">([^<]+)/.exec((await machines(lab, cookie)).body)?.[1]
    await soap(
      lab,
      `<PowerOffVM_Task xmlns="urn:vim25"><_this type="VirtualMachine">${machine}</_this></PowerOffVM_Task>`,
      cookie,
    )
    await soap(lab, '<Logout xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></Logout>', cookie)
    const since = async () => (await lab.events()).filter(({ key }) => key > (before?.key ?? 0))
    await expect.poll(async () => (await since()).length).toBe(4)
    const events = await since()
    expect(new Set(events.map(({ userName }) => userName))).toEqual(new Set(['alice']))
    expect(events.map(({ type }) => type).sort()).toEqual([
      'UserLoginSessionEvent',
      'UserLogoutSessionEvent',
      'VmPoweredOffEvent',
      'VmStoppingEvent',
    ])
    expect(events.find(({ type }) => type === 'VmPoweredOffEvent')?.message).toContain('powered off')
  })

  test('holds what was ordered', async () => {
    const { cookie } = await login(lab, alice)
    const { body } = await machines(lab, cookie)
    expect(body.match(/<obj type="VirtualMachine">/g)).toHaveLength(2)
    expect(body.match(/<obj type="HostSystem">/g)).toHaveLength(1)
  })

  test('keeps its accounts to itself, and runs unprivileged', async () => {
    const accounts = join(lab.folder, 'data', 'accounts.json')
    expect(lstatSync(join(lab.folder, 'data')).mode & 0o777).toBe(0o700)
    expect(lstatSync(accounts).mode & 0o777).toBe(0o600)
    if (process.getuid?.() === 0) expect(statSync(accounts).uid).toBe(UNPRIVILEGED.uid)
    expect(readFileSync(join(lab.folder, 'vcenter.out'), 'utf8')).not.toContain(alice.password)
  })

  test('hangs and goes on', async () => {
    lab.pause()
    const answer = login(lab, alice)
    expect(await Promise.race([answer, delay(200, 'hangs')])).toBe('hangs')
    lab.resume()
    expect((await answer).status).toBe(200)
  })

  test('refuses connections while it is halted, and knows its accounts but no session afterwards', async () => {
    const { cookie } = await login(lab, alice)
    await lab.halt()
    await expect(login(lab, alice)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await lab.restart()
    expect((await currentTime(lab, cookie)).body).toContain('NotAuthenticated')
    expect((await login(lab, alice)).status).toBe(200)
  })

  test('has passwords of its own, and leaves nothing behind', async () => {
    const other = await vcenter()
    expect(Object.keys(other.users)).toEqual(['alice@vsphere.local', 'bob@vsphere.local'])
    expect((await login(other, alice)).status).toBe(500)
    other.pause()
    await other.dispose()
    expect(existsSync(other.folder)).toBe(false)
    const { hostname, port } = new URL(other.address)
    expect(await accepts(hostname, Number(port))).toBe(false)
  })
})

/** All machines and hosts by name. */
async function machines(lab: VcenterLab, cookie: string | undefined): Promise<{ readonly body: string }> {
  const types = ['VirtualMachine', 'HostSystem']
  const view = await soap(
    lab,
    `<CreateContainerView xmlns="urn:vim25"><_this type="ViewManager">ViewManager</_this><container type="Folder">group-d1</container>${types.map((type) => `<type>${type}</type>`).join('')}<recursive>true</recursive></CreateContainerView>`,
    cookie,
  )
  const id = /<returnval type="ContainerView">([^<]+)/.exec(view.body)?.[1]
  const properties = types.map((type) => `<propSet><type>${type}</type><pathSet>name</pathSet></propSet>`).join('')
  return soap(
    lab,
    `<RetrievePropertiesEx xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this><specSet>${properties}<objectSet><obj type="ContainerView">${id}</obj><selectSet xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="TraversalSpec"><type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet></specSet><options/></RetrievePropertiesEx>`,
    cookie,
  )
}
