import type { Level } from '../access.ts'

/** Someone who logs in. */
export interface Person {
  readonly groups: readonly string[]
  /** The account of their own at vCenter that Vault has for them; those without share one with others of their level. */
  readonly own?: string
  /** The virtual machine that they work on. */
  readonly vm: string
  /** Whom vCenter is to see; nobody, where there is no access at all. */
  readonly seen: string | undefined
}

/** One of each level, and one whose groups mean nothing here, though Vault has an account. */
export const CAST: Readonly<Record<string, Person>> = {
  rita: { groups: ['vsphere-readers', 'everybody'], vm: 'DC0_C0_RP0_VM0', seen: 'svc-read@vsphere.local' },
  otto: {
    groups: ['vsphere-operators'],
    own: 'otto@vsphere.local',
    vm: 'DC0_C0_RP0_VM1',
    seen: 'otto@vsphere.local',
  },
  vera: { groups: ['vsphere-admins'], own: 'vera@vsphere.local', vm: 'DC0_C0_RP0_VM2', seen: 'vera@vsphere.local' },
  hugo: { groups: ['vsphere-host-admins'], vm: 'DC0_C0_RP0_VM3', seen: 'svc-hosts@vsphere.local' },
  sara: {
    groups: ['vsphere-super-admins'],
    own: 'sara@vsphere.local',
    vm: 'DC0_C0_RP0_VM4',
    seen: 'sara@vsphere.local',
  },
  nina: { groups: ['everybody', 'vsphere'], own: 'nina@vsphere.local', vm: 'DC0_C0_RP0_VM5', seen: undefined },
}

/** The accounts that those share who have none of their own. */
export const SHARED: Readonly<Record<Level, string>> = {
  READ_ONLY: 'svc-read@vsphere.local',
  POWER_OPS: 'svc-power@vsphere.local',
  VM_LIFECYCLE: 'svc-vms@vsphere.local',
  HOST_ADMIN: 'svc-hosts@vsphere.local',
  FULL_ADMIN: 'svc-full@vsphere.local',
}
