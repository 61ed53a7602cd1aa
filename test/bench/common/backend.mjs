import { secret } from '@mcp-delegation/core'
import * as z from 'zod'

/** Requests with one string, validated by zod. */
const zodRequest = z.object({ targetService: z.string().min(1).max(255) })

/** The same by hand. */
export const plainRequest = {
  '~standard': {
    version: 1,
    vendor: 'bench',
    validate(input) {
      const target = input?.targetService
      if (typeof target !== 'string' || target.length < 1 || target.length > 255)
        return { issues: [{ message: 'must be 1 to 255 characters', path: ['targetService'] }] }
      return { value: { targetService: target } }
    },
  },
}

/** A module that issues a bearer token for one hour, without a backend. */
export function bearerModule({ request = zodRequest, issue = issueToken } = {}) {
  return {
    type: 'bench',
    reuse: 'user',
    request,
    target: ({ targetService }) => targetService,
    principal: (session) => session.subject,
    issue,
  }
}

async function issueToken(_request, { clock }) {
  return { value: { kind: 'bearer', token: secret('t'.repeat(900)) }, expiresAt: new Date(clock.now() + 3_600_000) }
}
