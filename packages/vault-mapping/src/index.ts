export type { VaultMappingOptions } from './options.ts'
export type { VaultRequestOf } from './targets.ts'
export { VaultError } from './vault-error.ts'
export { vaultMapping } from './vault-mapping.ts'
