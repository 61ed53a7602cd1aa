export type {
  AuditFields,
  AuditRecord,
  AuditSink,
  AuthenticationRecord,
  DelegationRecord,
  ExportRecord,
  OtherRecord,
  PromptRecord,
  ResourceRecord,
  ToolRecord,
} from './audit.ts'
export { pinoAudit } from './audit.ts'
export type { CheckpointKey } from './audit-log/checkpoint.ts'
export type { CheckpointSink } from './audit-log/witness.ts'
export { fileCheckpoints } from './audit-log/witness.ts'
export type { BlockStore, BlockTarget, LoginSession, Standing } from './blocks.ts'
export type { Clock } from './clock.ts'
export type { DelegateOptions } from './dispatcher.ts'
export type { DelegationErrorCode, DelegationErrorOptions } from './errors.ts'
export { DelegationError, isDelegationError } from './errors.ts'
export { fileAudit } from './file-audit.ts'
export type { FileAuditOptions, RepeatOptions, SealOptions } from './file-audit-options.ts'
export type { GroupGrammar, GroupGrammarOptions, GroupRule, Reading } from './group-grammar.ts'
export { groupGrammar } from './group-grammar.ts'
export type {
  ClaimRule,
  FunctionRule,
  PrincipalMapping,
  PrincipalMappingOptions,
  PrincipalRule,
  TableRule,
  TemplateRule,
} from './identity.ts'
export { principalMapping } from './identity.ts'
export type {
  BearerCredential,
  CertificateCredential,
  KerberosContext,
  KerberosCredential,
  KerberosIdentity,
  KerberosMessageOptions,
  PasswordCredential,
  SessionCredential,
  SshCertificateCredential,
} from './kinds.ts'
export type { Credential } from './lease.ts'
export type { LiveSessionOptions, OpenedSession } from './live-session.ts'
export { liveSession } from './live-session.ts'
export type { Loan } from './loan.ts'
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
  Retention,
  ValueOf,
} from './module.ts'
export { firstMapped } from './module.ts'
export type { CacheOptions, RegistryOptions } from './options.ts'
export type { ModuleStats } from './overview.ts'
export type {
  Area,
  DelegationRule,
  Grant,
  IssuerPermissions,
  OperationRule,
  PermissionsOptions,
  RateLimit,
  ToolRule,
} from './permission-options.ts'
export type { Explanation, LevelSummary, Permissions } from './permissions.ts'
export { permissions } from './permissions.ts'
export type { BackendDecides, Decision, DelegationAttempt, OperationKind, Policy } from './policy.ts'
export type { Delegate } from './registry.ts'
export { DelegationRegistry } from './registry.ts'
export type { ScopeHierarchy } from './scopes.ts'
export { isScope, scopeHierarchy } from './scopes.ts'
export type { Secret } from './secret.ts'
export { secret } from './secret.ts'
export type { SecretReader, SecretSource } from './secret-source.ts'
export { secretReader } from './secret-source.ts'
export type { Identity, Session, SessionVerifier, VerifiedClaims } from './session.ts'
export { createSession, isSession } from './session.ts'
