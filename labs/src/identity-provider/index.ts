export type { IdentityProvider, IdentityProviderOptions } from './identity-provider.ts'
export { identityProvider } from './identity-provider.ts'
export { connectAs } from './login.ts'
