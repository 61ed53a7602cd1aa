export { isAvailable } from '../required.ts'
export type { Keycloak } from './keycloak.ts'
export { keycloak, missing } from './keycloak.ts'
