/** How one request is made. */
export interface CallOptions {
  /** Ends the wait; what vCenter has begun goes on there. The call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** How a request that starts a task in vCenter is made. */
export interface TaskOptions extends CallOptions {
  /** How long the task may take, in milliseconds. Default: the client's `taskTimeout`. */
  readonly timeout?: number | undefined
}

/** Whether a machine runs. */
export type PowerState = 'on' | 'off' | 'suspended' | 'unknown'

/**
 * What {@link VcenterSession.power} does. `off` and `reset` are hard: the guest is not asked. `shutdown-guest` and
 * `reboot-guest` ask it, which takes VMware Tools there, and wait for nothing.
 */
export type PowerOperation = 'on' | 'off' | 'reset' | 'suspend' | 'shutdown-guest' | 'reboot-guest'

/** A virtual machine in a list. */
export interface MachineSummary {
  /** vCenter's own name of it: `vm-54`. */
  readonly id: string
  readonly name: string
  readonly power: PowerState
  readonly template: boolean
  /** The name of the host that it is on. */
  readonly host: string | undefined
  readonly guest: string | undefined
  readonly cpus: number | undefined
  readonly memoryMb: number | undefined
}

/** All that is told of one virtual machine. */
export interface Machine extends MachineSummary {
  readonly annotation: string | undefined
  readonly uuid: string | undefined
  readonly ipAddress: string | undefined
  readonly hostName: string | undefined
  /** Whether VMware Tools run in the guest, in vCenter's word. */
  readonly tools: string | undefined
  readonly bootedAt: Date | undefined
  readonly snapshots: readonly Snapshot[]
}

/** A snapshot of a machine. */
export interface Snapshot {
  /** vCenter's own name of it: `snapshot-71`. */
  readonly id: string
  readonly name: string
  readonly description: string
  readonly createdAt: Date | undefined
  /** Whether the machine's disks go on from this one. */
  readonly current: boolean
  /** The id of the one before it. */
  readonly parent: string | undefined
}

/** A host. */
export interface Host {
  /** vCenter's own name of it: `host-21`. */
  readonly id: string
  readonly name: string
  /** `connected`, `disconnected` or `notResponding`. */
  readonly connection: string | undefined
  readonly inMaintenance: boolean
  readonly model: string | undefined
  readonly product: string | undefined
  readonly cores: number | undefined
  readonly cpuMhz: number | undefined
  readonly memoryBytes: number | undefined
  readonly machines: number
}

/** A datastore. */
export interface Datastore {
  /** vCenter's own name of it: `datastore-46`. */
  readonly id: string
  readonly name: string
  readonly type: string | undefined
  readonly accessible: boolean
  readonly capacityBytes: number | undefined
  readonly freeBytes: number | undefined
}

/** A cluster. */
export interface Cluster {
  /** vCenter's own name of it: `domain-c29`. */
  readonly id: string
  readonly name: string
  readonly hosts: number | undefined
  readonly effectiveHosts: number | undefined
  readonly cpuMhz: number | undefined
  readonly memoryBytes: number | undefined
}

/** A network that machines can be on. */
export interface Network {
  /** vCenter's own name of it: `network-7` or `dvportgroup-13`. */
  readonly id: string
  readonly name: string
  /** `Network`, or `DistributedVirtualPortgroup` where a distributed switch has it. */
  readonly type: string
  readonly accessible: boolean
}

/** A session with vCenter, of whomever. */
export interface SessionEntry {
  /** What {@link VcenterSession.terminateSession} takes; not enumerable. */
  readonly key: string
  readonly userName: string
  readonly ipAddress: string | undefined
  readonly userAgent: string | undefined
  readonly loginAt: Date | undefined
  readonly lastActiveAt: Date | undefined
  /** Whether it is the one that asks. */
  readonly own: boolean
}

/** An entry of the event log. */
export interface EventEntry {
  readonly id: number
  /** Its type, as `VmPoweredOnEvent`. */
  readonly type: string
  readonly userName: string
  readonly at: Date | undefined
  readonly message: string
}

/** A machine to be made, with a disk-less configuration. */
export interface NewMachine {
  readonly name: string
  /** The name or id of a cluster. Default: the only one. */
  readonly cluster?: string | undefined
  /** The name or id of a datastore of the cluster. Default: its only one. */
  readonly datastore?: string | undefined
  /** Default: 1. */
  readonly cpus?: number | undefined
  /** Default: 1,024. */
  readonly memoryMb?: number | undefined
  /** vCenter's name of the operating system. Default: `otherGuest64`. */
  readonly guestId?: string | undefined
  readonly annotation?: string | undefined
}

/** What {@link VcenterSession.reconfigureMachine} changes; what is not named stays. */
export interface MachineChange {
  readonly name?: string | undefined
  readonly cpus?: number | undefined
  readonly memoryMb?: number | undefined
}

/**
 * A user's session with vCenter. Where a method takes a machine, a host, a cluster or a datastore it takes its id or its
 * name; two of that name are refused with `ERR_VCENTER_AMBIGUOUS`, none with `ERR_VCENTER_NOT_FOUND`. All methods reject
 * with a {@link VcenterError}, or with the reason of the signal. After `ERR_VCENTER_NOT_AUTHENTICATED` the session is over.
 */
export interface VcenterSession {
  /** The user's name as vCenter has it. */
  readonly userName: string
  /**
   * The key by which an administrator ends the session. Not enumerable: where a simulator is the server, who has it is
   * the user.
   */
  readonly key: string
  /** Ends it. Resolves too where it is over already. */
  logout(options?: CallOptions): Promise<void>
  /** vCenter's clock; rejects where the session is over. */
  currentTime(options?: CallOptions): Promise<Date>

  listMachines(options?: CallOptions): Promise<readonly MachineSummary[]>
  listHosts(options?: CallOptions): Promise<readonly Host[]>
  listDatastores(options?: CallOptions): Promise<readonly Datastore[]>
  listClusters(options?: CallOptions): Promise<readonly Cluster[]>
  listNetworks(options?: CallOptions): Promise<readonly Network[]>
  machine(machine: string, options?: CallOptions): Promise<Machine>
  host(host: string, options?: CallOptions): Promise<Host>

  power(machine: string, operation: PowerOperation, options?: TaskOptions): Promise<void>

  /** The snapshots of a machine, each after its parent. */
  listSnapshots(machine: string, options?: CallOptions): Promise<readonly Snapshot[]>
  /** Returns the new one. With `memory`, a running machine's memory is kept too. */
  createSnapshot(
    machine: string,
    snapshot: {
      readonly name: string
      readonly description?: string | undefined
      readonly memory?: boolean | undefined
    },
    options?: TaskOptions,
  ): Promise<Snapshot>
  /** Puts the machine back to a snapshot, by its id or its name. */
  revertToSnapshot(machine: string, snapshot: string, options?: TaskOptions): Promise<void>
  /** Removes a snapshot, by its id or its name; its children are kept. */
  removeSnapshot(machine: string, snapshot: string, options?: TaskOptions): Promise<void>

  /** Returns the new machine, which is off. */
  createMachine(machine: NewMachine, options?: TaskOptions): Promise<MachineSummary>
  /** Returns the copy, which is off and lies beside the machine. */
  cloneMachine(machine: string, name: string, options?: TaskOptions): Promise<MachineSummary>
  /** Deletes a machine with its disks. One that runs is refused with the fault `InvalidPowerState`. */
  deleteMachine(machine: string, options?: TaskOptions): Promise<void>
  reconfigureMachine(machine: string, change: MachineChange, options?: TaskOptions): Promise<MachineSummary>

  enterMaintenance(host: string, options?: TaskOptions): Promise<void>
  exitMaintenance(host: string, options?: TaskOptions): Promise<void>

  /** All sessions, which takes an administrator. */
  listSessions(options?: CallOptions): Promise<readonly SessionEntry[]>
  /** Ends a session other than this one, which takes an administrator. */
  terminateSession(key: string, options?: CallOptions): Promise<void>
  /** The latest `max` entries of the event log, newest first. Default: 100, and no more than 1,000. */
  listEvents(options?: CallOptions & { readonly max?: number | undefined }): Promise<readonly EventEntry[]>
}

/** A client of one vCenter. */
export interface Vcenter {
  /**
   * Logs a user in.
   * @throws {@link VcenterError} `ERR_VCENTER_LOGIN` where name or password are wrong.
   */
  login(userName: string, password: string, options?: CallOptions): Promise<VcenterSession>
  /** Closes idle connections. Sessions stay as they are. */
  close(): void
}

/** What {@link vcenter} takes. */
export interface VcenterOptions {
  /** The server: `https://vcenter.corp.example`. */
  readonly url: string
  /** Certificates in PEM that are trusted instead of the system's. */
  readonly ca?: string | undefined
  /** How long one request may take, in milliseconds. Default: 30 seconds. */
  readonly timeout?: number | undefined
  /** How long a task may take, in milliseconds. Default: 5 minutes. */
  readonly taskTimeout?: number | undefined
}
