import { checkIssued } from './check-issued.ts'
import type { Clock } from './clock.ts'
import { DelegationError, isDelegationError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Member } from './member.ts'
import type { IssuedCredential } from './module.ts'
import type { SessionSnapshot } from './session.ts'

/** One issue: what a module is asked for, and on whose behalf. */
export interface IssueOrder {
  readonly member: Member
  readonly snapshot: SessionSnapshot
  readonly principal: string
  readonly request: unknown
  /** Runs of the same key follow one another. */
  readonly key: string
}

/** What {@link issue} needs of the registry. */
export interface IssueSurroundings<T> {
  readonly clock: Clock
  readonly log: Logger
  /** Called when it is this issue's turn, and when the credential arrives: where it throws, nothing is issued. */
  begin(): void
  /** Takes over a credential that is in time. Called synchronously, before anything else can happen. */
  accept(issued: IssuedCredential<unknown>): T
  /** Gives back a credential that can't be used. */
  discard(issued: IssuedCredential<unknown>): void
  /** Runs the module's own code. */
  run<R>(work: () => R): R
}

/** How long a run that ignores its signal keeps its place, in milliseconds. */
const STUCK_GRACE = 60_000

/**
 * Waits for its turn, asks the module once, and hands over what it issued. The deadline covers the queue too. What
 * arrives after an abort is discarded.
 */
export async function issue<T>(
  order: IssueOrder,
  controller: AbortController,
  { clock, log, begin, accept, discard, run }: IssueSurroundings<T>,
): Promise<T> {
  const { member, snapshot, key } = order
  const { signal } = controller
  const timer = setTimeout(() => {
    controller.abort(new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the credential was not issued in time'))
  }, member.deadline)
  try {
    const previous = member.running.get(key)
    if (previous !== undefined) await unlessAborted(previous, signal)
    const leave = await member.admission.enter(snapshot.identity, signal)
    try {
      signal.throwIfAborted()
      begin()
    } catch (error) {
      leave()
      throw error
    }
    const { session } = snapshot
    const context = { session, principal: order.principal, signal, clock, log }
    const issued = (async () => run(() => member.module.issue(order.request, context)))()
    keepPlace(member, key, issued, signal, leave)
    return await new Promise<T>((resolve, reject) => {
      const abort = (): void => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      issued
        .then(
          (credential) => {
            signal.removeEventListener('abort', abort)
            try {
              checkIssued(credential, session, clock)
              signal.throwIfAborted()
              begin()
              resolve(accept(credential))
            } catch (error) {
              reject(error)
              if (typeof credential?.release === 'function') discard(credential)
            }
          },
          (error: unknown) => {
            signal.removeEventListener('abort', abort)
            reject(toDelegationError(error))
          },
        )
        .catch(reject)
      if (signal.aborted) abort()
    })
  } finally {
    clearTimeout(timer)
  }
}

/** Holds the turn and the key until the module's run has settled, or for a while after the abort. */
function keepPlace(
  member: Member,
  key: string,
  issued: Promise<unknown>,
  signal: AbortSignal,
  leave: () => void,
): void {
  let timer: NodeJS.Timeout | undefined
  const settled = new Promise<void>((resolve) => {
    issued.then(
      () => resolve(),
      () => resolve(),
    )
    const abort = (): void => {
      timer = setTimeout(resolve, STUCK_GRACE).unref()
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  }).then(() => {
    clearTimeout(timer)
    if (member.running.get(key) === settled) member.running.delete(key)
    leave()
  })
  member.running.set(key, settled)
}

/** Waits for `promise`, which never rejects, but no longer than until the abort. */
function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    void promise.then(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}

/** Whatever a module throws, as the one error of this framework. */
export function toDelegationError(error: unknown): DelegationError {
  if (isDelegationError(error)) return error
  return new DelegationError('ERR_DELEGATION_PROTOCOL', 'the module failed', { cause: error })
}
