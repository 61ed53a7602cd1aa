export type {
  CallOptions,
  Cluster,
  Datastore,
  EventEntry,
  Host,
  Machine,
  MachineChange,
  MachineSummary,
  Network,
  NewMachine,
  PowerOperation,
  PowerState,
  SessionEntry,
  Snapshot,
  TaskOptions,
  Vcenter,
  VcenterOptions,
  VcenterSession,
} from './types.ts'
export { vcenter } from './vcenter.ts'
export type { VcenterErrorCode } from './vcenter-error.ts'
export { isNotAuthenticated, VcenterError } from './vcenter-error.ts'
