import { z } from 'zod'

/** What a tool asks for. */
export type KerberosRequest =
  | {
      /** `s4u2proxy`: a ticket of the user for the target. The default. */
      readonly action?: 's4u2proxy' | undefined
      /** The backend's service principal name, without realm: `HTTP/backend.corp.example`. */
      readonly targetService: string
      /** Only to be sure: where it is not the caller's own principal, the request is denied. */
      readonly userPrincipalName?: string | undefined
    }
  | {
      /** `s4u2self`: what the domain says of the user, and no ticket. */
      readonly action: 's4u2self'
      readonly targetService?: undefined
      /** As above. */
      readonly userPrincipalName?: string | undefined
    }

/** A request as the module gets it. */
export interface CheckedRequest {
  /** Undefined for the identity only. */
  readonly targetService?: string | undefined
  readonly userPrincipalName?: string | undefined
}

const Name = z.string().min(1).max(512)

/**
 * Takes requests apart, and spells targets in one way by `canonical`; it answers `undefined` for what is no service
 * principal name.
 */
export function kerberosRequest(
  canonical: (spn: string) => string | undefined,
): z.ZodType<CheckedRequest, KerberosRequest> {
  const target = Name.transform((spn, context) => {
    const spelled = canonical(spn)
    if (spelled !== undefined) return spelled
    context.addIssue({ code: 'custom', message: 'must be a service principal name without realm: HTTP/host' })
    return z.NEVER
  })
  return z
    .object({
      action: z.enum(['s4u2proxy', 's4u2self']).default('s4u2proxy'),
      targetService: target.optional(),
      userPrincipalName: Name.optional(),
    })
    .superRefine(({ action, targetService }, context) => {
      if ((action === 's4u2proxy') === (targetService !== undefined)) return
      const message = action === 's4u2proxy' ? 'is required' : 'is for s4u2proxy'
      context.addIssue({ code: 'custom', path: ['targetService'], message })
    })
    .transform(({ targetService, userPrincipalName }) => ({ targetService, userPrincipalName })) as z.ZodType<
    CheckedRequest,
    KerberosRequest
  >
}
