export { VaultError } from './vault-error.ts'
