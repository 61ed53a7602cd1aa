export type {
  CallOptions,
  Cluster,
  Datastore,
  EventEntry,
  Host,
  Machine,
  MachineSummary,
  Network,
  PowerOperation,
  SessionEntry,
  Snapshot,
  Vcenter,
  VcenterSession,
} from './types.ts'
export { vcenter } from './vcenter.ts'
export { isNotAuthenticated, VcenterError } from './vcenter-error.ts'
