/** What a tool is called with, in a story in which each user has a virtual machine to work on. */
export interface ToolCall {
  readonly tool: string
  /** `found` is what the user's earlier calls answered, by tool. */
  arguments(found: ReadonlyMap<string, unknown>): Record<string, unknown>
  /** What vCenter says where it does not do it: the simulator's machines have no VMware Tools. */
  readonly fault?: string
}

/** Whose session at vCenter is ended in the story, and who is blocked in it. */
export const INTERN = { name: 'intern', username: 'intern@vsphere.local' }

/** Each tool once, in an order in which everything can be done. */
export function callsOf(user: string, vm: string): readonly ToolCall[] {
  const [made, copy, renamed] = [`${user}-new`, `${user}-copy`, `${user}-old`]
  // In the other cluster, and for each who may a host of their own: nobody's machine is on it.
  const host = user === 'hugo' ? 'DC0_C1_H0' : 'DC0_C1_H1'
  const call = (tool: string, given: Record<string, unknown> = {}, fault?: string): ToolCall => ({
    tool,
    arguments: () => given,
    ...(fault !== undefined && { fault }),
  })
  return [
    call('who_am_i'),
    call('list_vms', { power: 'on' }),
    call('reset_vm', { vm }),
    call('reboot_guest', { vm }, 'ToolsUnavailable'),
    call('shutdown_guest', { vm }),
    call('get_vm_info', { vm }),
    call('list_hosts'),
    call('get_host_info', { host }),
    call('list_clusters'),
    call('list_datastores'),
    call('list_networks'),
    call('power_on', { vm }),
    call('suspend_vm', { vm }),
    call('power_off', { vm }),
    call('create_vm', { name: made, cluster: 'DC0_C0', cpus: 1, memory_mb: 1024, notes: `of ${user}` }),
    call('reconfigure_vm', { vm: made, cpus: 2, memory_mb: 2048 }),
    call('create_snapshot', { vm, name: 'before', description: 'to come back to' }),
    call('list_snapshots', { vm }),
    call('revert_to_snapshot', { vm, snapshot: 'before' }),
    call('delete_snapshot', { vm, snapshot: 'before' }),
    call('clone_vm', { vm: made, name: copy }),
    call('rename_vm', { vm: copy, name: renamed }),
    call('delete_vm', { vm: renamed }),
    call('enter_maintenance_mode', { host }),
    call('exit_maintenance_mode', { host }),
    call('list_recent_events', { max: 5 }),
    call('list_sessions'),
    { tool: 'terminate_session', arguments: (found) => ({ session: sessionOf(found.get('list_sessions')) }) },
    call('block_user', { subject: INTERN.name }),
    call('unblock_user', { subject: INTERN.name }),
  ]
}

/** The intern's session in the list; some other text for those who have not seen the list. */
function sessionOf(listed: unknown): string {
  const { sessions = [] } = (listed ?? {}) as { sessions?: { session: string; userName: string }[] }
  return sessions.find(({ userName }) => userName === INTERN.username)?.session ?? '000000000000'
}
