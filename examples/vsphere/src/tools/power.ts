import { z } from 'zod'
import type { ToolName } from '../access.ts'
import type { PowerOperation } from '../vcenter/index.ts'
import { vm } from './shapes.ts'
import { CHANGES, DESTROYS, type Tool, tool } from './tool.ts'

interface Switch {
  readonly name: ToolName
  readonly operation: PowerOperation
  readonly title: string
  readonly description: string
  /** What is said where vCenter has done it. */
  readonly done: string
  /** Whether what runs in the guest may be lost. */
  readonly hard: boolean
}

const SWITCHES: readonly Switch[] = [
  {
    name: 'power_on',
    operation: 'on',
    title: 'Power on',
    description: 'Powers on a virtual machine that is off or suspended.',
    done: 'is on',
    hard: false,
  },
  {
    name: 'power_off',
    operation: 'off',
    title: 'Power off',
    description:
      'Powers off a virtual machine at once, as if the plug were pulled: unsaved data is lost. Prefer shutdown_guest.',
    done: 'is off',
    hard: true,
  },
  {
    name: 'reset_vm',
    operation: 'reset',
    title: 'Reset',
    description:
      'Resets a virtual machine at once, as if its reset button were pressed: unsaved data is lost. Prefer reboot_guest.',
    done: 'was reset',
    hard: true,
  },
  {
    name: 'suspend_vm',
    operation: 'suspend',
    title: 'Suspend',
    description: 'Suspends a running virtual machine; power_on lets it go on where it was.',
    done: 'is suspended',
    hard: false,
  },
  {
    name: 'shutdown_guest',
    operation: 'shutdown-guest',
    title: 'Shut down the guest',
    description:
      'Asks the guest operating system of a running virtual machine to shut down. Needs VMware Tools there, and does not wait: look with get_vm_info.',
    done: 'was asked to shut down',
    hard: false,
  },
  {
    name: 'reboot_guest',
    operation: 'reboot-guest',
    title: 'Reboot the guest',
    description:
      'Asks the guest operating system of a running virtual machine to reboot. Needs VMware Tools there, and does not wait.',
    done: 'was asked to reboot',
    hard: false,
  },
]

/** What operators may do. */
export const power: readonly Tool[] = SWITCHES.map(({ name, operation, title, description, done, hard }) =>
  tool(name, {
    title,
    description,
    input: z.object({ vm }),
    output: z.object({ vm: z.string(), done: z.string() }),
    annotations: hard ? DESTROYS : CHANGES,
    async run({ vm: machine }, { vcenter }) {
      await vcenter((session, options) => session.power(machine, operation, options))
      return { text: `${machine} ${done}.`, data: { vm: machine, done } }
    },
  }),
)
