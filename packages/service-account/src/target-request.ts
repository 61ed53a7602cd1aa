import { z } from 'zod'

/** What a tool asks for. */
export interface TargetRequest {
  /** The backend, as the administrator's list names it. */
  readonly target: string
}

/** Drops what else is there: members of one list may want more than this. */
export const targetRequest: z.ZodType<TargetRequest, TargetRequest> = z.object({ target: z.string().min(1).max(255) })
