import { type Logger, type Permissions, permissions } from '@mcp-delegation/core'

/** From the least to the most; each includes those before it. */
export const LEVELS = ['READ_ONLY', 'POWER_OPS', 'VM_LIFECYCLE', 'HOST_ADMIN', 'FULL_ADMIN'] as const

export type Level = (typeof LEVELS)[number]

/** The groups that grant the levels where nothing else is configured. */
export const GROUPS: Readonly<Record<string, Level>> = {
  'vsphere-readers': 'READ_ONLY',
  'vsphere-operators': 'POWER_OPS',
  'vsphere-admins': 'VM_LIFECYCLE',
  'vsphere-host-admins': 'HOST_ADMIN',
  'vsphere-super-admins': 'FULL_ADMIN',
}

/** What each tool takes. A tool that is not here is denied. */
export const TOOLS = {
  who_am_i: 'READ_ONLY',
  list_vms: 'READ_ONLY',
  get_vm_info: 'READ_ONLY',
  list_snapshots: 'READ_ONLY',
  list_hosts: 'READ_ONLY',
  get_host_info: 'READ_ONLY',
  list_clusters: 'READ_ONLY',
  list_datastores: 'READ_ONLY',
  list_networks: 'READ_ONLY',
  list_recent_events: 'READ_ONLY',

  power_on: 'POWER_OPS',
  power_off: 'POWER_OPS',
  reset_vm: 'POWER_OPS',
  suspend_vm: 'POWER_OPS',
  shutdown_guest: 'POWER_OPS',
  reboot_guest: 'POWER_OPS',
  create_snapshot: 'POWER_OPS',
  revert_to_snapshot: 'POWER_OPS',
  delete_snapshot: 'POWER_OPS',

  create_vm: 'VM_LIFECYCLE',
  clone_vm: 'VM_LIFECYCLE',
  reconfigure_vm: 'VM_LIFECYCLE',
  rename_vm: 'VM_LIFECYCLE',
  delete_vm: 'VM_LIFECYCLE',

  enter_maintenance_mode: 'HOST_ADMIN',
  exit_maintenance_mode: 'HOST_ADMIN',

  list_sessions: 'FULL_ADMIN',
  terminate_session: 'FULL_ADMIN',
  block_user: 'FULL_ADMIN',
  unblock_user: 'FULL_ADMIN',
} as const satisfies Readonly<Record<string, Level>>

export type ToolName = keyof typeof TOOLS

export const RESOURCES = { inventory: 'READ_ONLY', vm: 'READ_ONLY' } as const satisfies Readonly<Record<string, Level>>

export const PROMPTS = {
  investigate_vm: 'READ_ONLY',
  plan_host_maintenance: 'HOST_ADMIN',
} as const satisfies Readonly<Record<string, Level>>

/** The name of the module, and of the one target that it has. */
export const VCENTER = 'vcenter'

export interface AccessOptions {
  readonly issuer: string
  /** By group: the level that it grants. */
  readonly groups: Readonly<Record<string, Level>>
  /** By level: the user name of the account that those of this level share. */
  readonly accounts: Readonly<Partial<Record<Level, string>>>
  /** How many tools each user may call in a minute. */
  readonly callsPerMinute: number
  readonly log?: Logger | undefined
}

/** Who may use what, and as whom at vCenter: with an account of one's own, or with the one of one's level. */
export function vsphereAccess({ issuer, groups, accounts, callsPerMinute, log }: AccessOptions): Permissions<Level> {
  const target = { modules: [VCENTER], targets: [VCENTER] }
  const shared = LEVELS.flatMap((level) => {
    const username = accounts[level]
    return username === undefined ? [] : [{ ...target, types: ['service-account'], principals: [username], level }]
  })
  return permissions({
    levels: LEVELS,
    issuers: [{ issuer, groups }],
    tools: TOOLS,
    resources: RESOURCES,
    prompts: PROMPTS,
    delegations: [{ ...target, types: ['vault'], level: 'READ_ONLY' }, ...shared],
    rateLimits: { all: { calls: callsPerMinute, per: 60_000 } },
    log,
  })
}
