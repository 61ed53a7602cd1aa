/** Who may do what, written down by hand: what the policy decides is compared with it, and not made from it. */
const TABLE = `
                          rita  otto  vera  hugo  sara  nina
  who_am_i                yes   yes   yes   yes   yes   no
  list_vms                yes   yes   yes   yes   yes   no
  get_vm_info             yes   yes   yes   yes   yes   no
  list_snapshots          yes   yes   yes   yes   yes   no
  list_hosts              yes   yes   yes   yes   yes   no
  get_host_info           yes   yes   yes   yes   yes   no
  list_clusters           yes   yes   yes   yes   yes   no
  list_datastores         yes   yes   yes   yes   yes   no
  list_networks           yes   yes   yes   yes   yes   no
  list_recent_events      yes   yes   yes   yes   yes   no
  power_on                no    yes   yes   yes   yes   no
  power_off               no    yes   yes   yes   yes   no
  reset_vm                no    yes   yes   yes   yes   no
  suspend_vm              no    yes   yes   yes   yes   no
  shutdown_guest          no    yes   yes   yes   yes   no
  reboot_guest            no    yes   yes   yes   yes   no
  create_snapshot         no    yes   yes   yes   yes   no
  revert_to_snapshot      no    yes   yes   yes   yes   no
  delete_snapshot         no    yes   yes   yes   yes   no
  create_vm               no    no    yes   yes   yes   no
  clone_vm                no    no    yes   yes   yes   no
  reconfigure_vm          no    no    yes   yes   yes   no
  rename_vm               no    no    yes   yes   yes   no
  delete_vm               no    no    yes   yes   yes   no
  enter_maintenance_mode  no    no    no    yes   yes   no
  exit_maintenance_mode   no    no    no    yes   yes   no
  list_sessions           no    no    no    no    yes   no
  terminate_session       no    no    no    no    yes   no
  block_user              no    no    no    no    yes   no
  unblock_user            no    no    no    no    yes   no
`

const [header = '', ...rows] = TABLE.trim()
  .split('\n')
  .map((line) => line.trim())

/** Those who log in, in the order of the table. */
export const USERS: readonly string[] = header.split(/\s+/)

const MAY: ReadonlyMap<string, ReadonlyMap<string, boolean>> = new Map(
  rows.map((row) => {
    const [tool = '', ...answers] = row.split(/\s+/)
    return [tool, new Map(USERS.map((user, index) => [user, answers[index] === 'yes']))]
  }),
)

/** Every tool that there is to be. */
export const EXPECTED_TOOLS: readonly string[] = [...MAY.keys()]

/** Whether the user may use the tool. */
export function may(user: string, tool: string): boolean {
  return MAY.get(tool)?.get(user) === true
}
