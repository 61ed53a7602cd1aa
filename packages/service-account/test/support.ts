import {
  type DelegationErrorCode,
  type DelegationModule,
  type IssueContext,
  isDelegationError,
  type PasswordCredential,
  type Session,
} from '@mcp-delegation/core'
import { fakeClock } from '@mcp-delegation/core/testing'
import type { TargetRequest } from '../src/index.ts'

export type AccountModule = DelegationModule<TargetRequest, PasswordCredential>

export const IDP = 'https://idp.example'

const ignore = (): void => {}
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** What the registry hands to a module. */
export function contextOf(session: Session, principal: string, signal?: AbortSignal): IssueContext {
  return { session, principal, signal: signal ?? new AbortController().signal, clock: fakeClock(new Date(1_000)), log }
}

/** Takes a session through a module, as the registry would: the user name and the password, or the code of a failure. */
export async function login(module: AccountModule, session: Session, target = 'billing'): Promise<string | undefined> {
  try {
    const principal = module.principal(session, { target })
    if (principal === undefined) return undefined
    const { value } = await module.issue({ target }, contextOf(session, principal))
    return `${value.username} ${value.password.reveal()}`
  } catch (error) {
    return codeOf(error)
  }
}

/** The code of a `DelegationError`; anything else is thrown on. */
export function codeOf(error: unknown): DelegationErrorCode {
  if (!isDelegationError(error)) throw error
  return error.code
}

/** A source that gives `value`. */
export function given(value: string): () => Promise<string> {
  return async () => value
}
