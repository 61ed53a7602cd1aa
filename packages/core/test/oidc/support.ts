import type { Signer } from '../../../../test/fixtures/signer.ts'
import { type DelegationErrorCode, isDelegationError } from '../../src/index.ts'
import { type IssuerOptions, type OidcVerifierOptions, oidcVerifier } from '../../src/oidc/index.ts'
import type { SessionVerifier } from '../../src/session.ts'

export const AUDIENCE = 'https://mcp.example/mcp'

/** A verifier of one signer's tokens. */
export function verifierOf(
  signer: Signer,
  issuer: Partial<IssuerOptions> = {},
  options: Partial<OidcVerifierOptions> = {},
): SessionVerifier {
  return oidcVerifier({ issuers: [{ issuer: signer.issuer, ...issuer }], audience: AUDIENCE, ...options })
}

export interface Outcome {
  readonly code: DelegationErrorCode | undefined
  readonly message: string
  /** What the operator may read. */
  readonly reason: string
}

/** How `verifying` was refused. */
export async function outcomeOf(verifying: Promise<unknown>): Promise<Outcome> {
  try {
    await verifying
    return { code: undefined, message: '', reason: '' }
  } catch (error) {
    if (!isDelegationError(error)) throw error
    return { code: error.code, message: error.message, reason: error.cause instanceof Error ? error.cause.message : '' }
  }
}
