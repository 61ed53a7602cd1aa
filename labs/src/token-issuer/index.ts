export type { KeySetMode, TokenIssuer, TokenIssuerOptions } from './token-issuer.ts'
export { tokenIssuer } from './token-issuer.ts'
