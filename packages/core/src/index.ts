export type {
  AuditRecord,
  AuditSink,
  AuthenticationRecord,
  DelegationRecord,
  OtherRecord,
  RecordBase,
  ToolRecord,
} from './audit.ts'
export type { BlockStore, BlockTarget, Standing } from './blocks.ts'
export type { Clock } from './clock.ts'
export type { DelegationErrorCode, DelegationErrorOptions } from './errors.ts'
export { DelegationError, isDelegationError } from './errors.ts'
export type {
  BearerCredential,
  CertificateCredential,
  KerberosContext,
  KerberosCredential,
  PasswordCredential,
  SessionCredential,
  SshCertificateCredential,
} from './kinds.ts'
export type { Logger } from './log.ts'
export type {
  AnyModule,
  DelegationModule,
  InputOf,
  IssueContext,
  IssuedCredential,
  ModuleChain,
  ModuleMap,
  ReleaseReason,
  ValueOf,
} from './module.ts'
export { firstMapped } from './module.ts'
export type { BackendDecides, Decision, DelegationAttempt, Policy } from './policy.ts'
export type { Secret } from './secret.ts'
export { secret } from './secret.ts'
export type { SecretReader, SecretSource } from './secret-source.ts'
export { secretReader } from './secret-source.ts'
export type { Identity, Session, SessionVerifier, VerifiedClaims } from './session.ts'
export { createSession } from './session.ts'
