import { z } from 'zod'
import { host } from './shapes.ts'
import { CHANGES, DESTROYS, type Tool, tool } from './tool.ts'

const hostState = z.object({ host: z.string(), inMaintenance: z.boolean() })

/** What those may do who look after hosts. */
export const hosts: readonly Tool[] = [
  tool('enter_maintenance_mode', {
    title: 'Enter maintenance mode',
    description:
      'Takes a host out of service. Waits until no machine runs there: migrate or power off those that DRS does not move.',
    input: z.object({ host }),
    output: hostState,
    annotations: DESTROYS,
    async run({ host: wanted }, { vcenter }) {
      await vcenter((session, options) => session.enterMaintenance(wanted, options))
      return { text: `${wanted} is in maintenance mode.`, data: { host: wanted, inMaintenance: true } }
    },
  }),
  tool('exit_maintenance_mode', {
    title: 'Exit maintenance mode',
    description: 'Puts a host into service again.',
    input: z.object({ host }),
    output: hostState,
    annotations: CHANGES,
    async run({ host: wanted }, { vcenter }) {
      await vcenter((session, options) => session.exitMaintenance(wanted, options))
      return { text: `${wanted} is in service again.`, data: { host: wanted, inMaintenance: false } }
    },
  }),
]
