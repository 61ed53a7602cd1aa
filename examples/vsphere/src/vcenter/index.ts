export type {
  CallOptions,
  Cluster,
  Datastore,
  Host,
  Machine,
  MachineChange,
  MachineSummary,
  NewMachine,
  PowerOperation,
  PowerState,
  Snapshot,
  TaskOptions,
  Vcenter,
  VcenterOptions,
  VcenterSession,
} from './types.ts'
export type { VcenterErrorCode } from './vcenter-error.ts'
export { isNotAuthenticated, VcenterError } from './vcenter-error.ts'
