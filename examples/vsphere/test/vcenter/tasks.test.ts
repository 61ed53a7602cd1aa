import { readFileSync } from 'node:fs'
import { isAvailable, missing, vcenter as startVcenter, type VcenterLab } from '@mcp-delegation/labs/vsphere'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isNotAuthenticated, type Vcenter, type VcenterSession, vcenter } from '../../src/vcenter/index.ts'

/** How long a task takes, in milliseconds. */
const TASK = 600

describe.runIf(isAvailable('the vSphere lab', missing()))('a task that takes long', () => {
  let lab: VcenterLab
  let client: Vcenter
  let session: VcenterSession
  const machine = 'DC0_C0_RP0_VM0'
  const state = async () => (await session.machine(machine)).power
  beforeAll(async () => {
    lab = await startVcenter({ machines: 1, hosts: 1, taskDelay: TASK })
    client = vcenter({ url: lab.address, ca: readFileSync(lab.ca, 'utf8') })
    session = await client.login(lab.administrator.username, lab.administrator.password)
  })
  afterAll(async () => {
    client.close()
    await lab.dispose()
  })

  test('is waited for', async () => {
    await session.power(machine, 'off')
    expect(await state()).toBe('off')
  })

  test('goes on where it is too late for the caller', async () => {
    await expect(session.power(machine, 'on', { timeout: TASK / 2 })).rejects.toMatchObject({
      code: 'ERR_VCENTER_UNAVAILABLE',
      message: 'PowerOnVM_Task took too long, and goes on',
      begun: true,
    })
    expect(await state()).toBe('off')
    await expect.poll(state).toBe('on')
  })

  test('goes on where the caller has gone', async () => {
    const gone = new AbortController()
    const ordered = session.power(machine, 'suspend', { signal: gone.signal })
    setTimeout(() => gone.abort(new Error('gone')), TASK / 2)
    await expect(ordered).rejects.toThrow('gone')
    expect(await state()).toBe('on')
    await expect.poll(state).toBe('suspended')
  })

  test('goes on where the session of the caller is ended', async () => {
    const other = await client.login(lab.administrator.username, lab.administrator.password)
    const ordered = other.power(machine, 'off')
    setTimeout(() => lab.terminate(other.key), TASK / 2)
    const error = await ordered.catch((reason: unknown) => reason)
    expect(isNotAuthenticated(error)).toBe(true)
    expect(error).toMatchObject({ begun: true })
    await expect.poll(state).toBe('off')
  })
})
