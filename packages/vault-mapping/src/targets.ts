import { z } from 'zod'

/** What a tool asks for. */
export interface VaultRequestOf<Target extends string> {
  /** A name of the option `targets`. */
  readonly target: Target
}

/** Drops what else is there: members of one list may want more than this. */
export function targetRequest<Target extends string>(): z.ZodType<VaultRequestOf<Target>, VaultRequestOf<Target>> {
  return z.object({ target: z.string().min(1).max(255) }) as never
}
