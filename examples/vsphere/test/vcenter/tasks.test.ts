import { readFileSync } from 'node:fs'
import {
  isAvailable,
  missing,
  vcenter as startVcenter,
  type VcenterEvent,
  type VcenterLab,
} from '@mcp-delegation/labs/vsphere'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isNotAuthenticated, type Vcenter, type VcenterSession, vcenter } from '../../src/vcenter/index.ts'

/** How long a task takes, in milliseconds. */
const TASK = 400

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
    await expect(session.power(machine, 'on', { timeout: 50 })).rejects.toMatchObject({
      code: 'ERR_VCENTER_UNAVAILABLE',
      message: 'PowerOnVM_Task took too long, and goes on',
      begun: true,
    })
    expect(await state()).toBe('off')
    await expect.poll(state, { timeout: 5_000 }).toBe('on')
  })

  /** Orders a copy of the machine, and goes on once vCenter has taken the order. */
  const orderCopy = async (by: VcenterSession, name: string, signal?: AbortSignal) => {
    const ordered = by.cloneMachine(machine, name, { signal }).catch((reason: unknown) => reason)
    const begun = async () => (await lab.events()).some((event) => isBeginOf(event, name))
    await expect.poll(begun).toBe(true)
    return { ordered }
  }
  const isBeginOf = ({ type, message }: VcenterEvent, name: string): boolean =>
    type === 'VmBeingClonedEvent' && message.includes(` to ${name} `)
  const names = async () => (await session.listMachines()).map(({ name }) => name)

  test('goes on where the caller has gone', async () => {
    const gone = new AbortController()
    const { ordered } = await orderCopy(session, 'copy-1', gone.signal)
    const reason = new Error('gone')
    gone.abort(reason)
    expect(await ordered).toBe(reason)
    expect(await names()).not.toContain('copy-1')
    await expect.poll(names, { timeout: 5_000 }).toContain('copy-1')
  })

  test('goes on where the session of the caller is ended', async () => {
    const other = await client.login(lab.administrator.username, lab.administrator.password)
    const { ordered } = await orderCopy(other, 'copy-2')
    await lab.terminate(other.key)
    const error = await ordered
    expect(isNotAuthenticated(error)).toBe(true)
    expect(error).toMatchObject({ begun: true })
    await expect.poll(names, { timeout: 5_000 }).toContain('copy-2')
  })
})
