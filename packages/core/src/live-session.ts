import { checkIssued } from './check-issued.ts'
import { DelegationError } from './errors.ts'
import type { SessionCredential } from './kinds.ts'
import type { DelegationModule, IssueContext, IssuedCredential, ReleaseReason, Retention } from './module.ts'
import { checkModule } from './module.ts'
import { within } from './within.ts'

/** A session that was opened at a backend. */
export interface OpenedSession<Handle> {
  /** What tools work with. */
  readonly handle: Handle
  /** Whom the backend says that it let in; audit names it. Default: whom the credential is for. */
  readonly principal?: string | undefined
  /** When the backend ends it. Default: when the credential ends with which it was opened. */
  readonly expiresAt?: Date | undefined
  /** Whether it may be served again. Synchronous, and quick: it is asked on every hit. Default: until it expires. */
  readonly usable?: (() => boolean) | undefined
  /** Logs out. Called exactly once. */
  close(reason: ReleaseReason, options: { readonly signal: AbortSignal }): Promise<void>
}

/** Options of {@link liveSession}. */
export interface LiveSessionOptions<Request, Value, Handle> {
  /**
   * Logs in at the backend with the user's credential. Rejects with a `DelegationError`, and leaves nothing open then;
   * must stop soon after `context.signal` aborts.
   */
  open(credential: Value, request: Request, context: IssueContext): Promise<OpenedSession<Handle>>
}

/**
 * A module that keeps a live session at the backend for each user, opened with the credential that `module` issues for
 * them. Tools get the session's handle. Type, target, principal, sharing and reuse are those of `module`, so that policy
 * and audit name where the credential comes from. The session is closed, and then the credential released, when the
 * registry drops it: when it expires, is evicted or invalidated, and at once when the user is blocked.
 * @throws TypeError naming what is wrong.
 */
export function liveSession<Request, Value, Input, Handle>(
  module: DelegationModule<Request, Value, Input>,
  options: LiveSessionOptions<Request, Value, Handle>,
): DelegationModule<Request, SessionCredential<Handle>, Input> {
  checkModule(module, 'module')
  if (typeof options?.open !== 'function') throw new TypeError('"open" must be a function')
  const { open } = options
  return {
    type: module.type,
    request: module.request,
    reuse: module.reuse,
    maxAge: module.maxAge,
    deadline: module.deadline,
    maxConcurrent: module.maxConcurrent,
    maxQueued: module.maxQueued,
    shared: module.shared,
    target: (request) => module.target(request),
    principal: (session, request) => module.principal(session, request),
    ...(module.linked && { linked: module.linked.bind(module) }),
    ...(module.check && { check: module.check.bind(module) }),
    ...(module.dispose && { dispose: module.dispose.bind(module) }),
    async issue(request, context) {
      const issued = await module.issue(request, context)
      let opened: OpenedSession<Handle> | undefined
      try {
        context.signal.throwIfAborted()
        // The registry sees the session alone, and not with what it was opened.
        checkIssued(issued, context.session, context.clock)
        opened = await open(issued.value, request, context)
        return joined(issued, checkOpened(opened))
      } catch (error) {
        const found = opened
        if (typeof found?.close === 'function')
          await giveBack({ release: (...given) => found.close(...given) }, module.type, context)
        await giveBack(issued, module.type, context)
        throw error
      }
    },
  }
}

const RELEASE_DEADLINE = 10_000

/** Releases a credential that gave no session, or what was opened with it and is none. */
async function giveBack(
  issued: Pick<IssuedCredential<unknown>, 'release'>,
  type: string,
  { log }: IssueContext,
): Promise<void> {
  try {
    await within(RELEASE_DEADLINE, undefined, async (signal) => issued.release?.('aborted', { signal }))
  } catch (error) {
    log.warn({ err: error, type }, 'a credential that gave no session could not be released')
  }
}

function checkOpened<Handle>(opened: OpenedSession<Handle>): OpenedSession<Handle> {
  const { close, handle, expiresAt } = (opened ?? {}) as Partial<OpenedSession<Handle>>
  const ends = expiresAt === undefined || (expiresAt instanceof Date && !Number.isNaN(expiresAt.getTime()))
  if (typeof close !== 'function' || handle === undefined || handle === null || !ends)
    throw new DelegationError('ERR_DELEGATION_PROTOCOL', '"open" gave no session')
  return opened
}

/** One credential of the two: it lives while both do. */
function joined<Value, Handle>(
  issued: IssuedCredential<Value>,
  opened: OpenedSession<Handle>,
): IssuedCredential<SessionCredential<Handle>> {
  const { retained } = issued
  const noLater = (date: Date): Date =>
    opened.expiresAt !== undefined && opened.expiresAt < date ? opened.expiresAt : date
  return {
    value: { kind: 'session', handle: opened.handle },
    expiresAt: noLater(issued.expiresAt),
    principal: opened.principal ?? issued.principal,
    usable: () => (issued.usable?.() ?? true) && (opened.usable?.() ?? true),
    ...(retained && {
      retained: (retention: Retention) =>
        retained({
          get coveredUntil() {
            return retention.coveredUntil
          },
          extend: (expiresAt) => retention.extend(noLater(expiresAt)),
        }),
    }),
    async release(reason, { signal: outer }) {
      try {
        await within(RELEASE_DEADLINE, outer, async (signal) => opened.close(reason, { signal }))
      } finally {
        // Also where the backend does not answer; then with time of its own.
        await within(RELEASE_DEADLINE, undefined, async (signal) => issued.release?.(reason, { signal }))
      }
    },
  }
}
