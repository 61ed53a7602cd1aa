import { DelegationError, type ModuleMap, type Session } from '@mcp-delegation/core'
import { type AuthInfo, sessionOf } from './auth-info.ts'
import { createGate, type Gate } from './gate.ts'
import { createGuard } from './guard.ts'
import { createHandlers, type Handlers, type Origin } from './handlers.ts'
import { type Operations, operations } from './operations.ts'
import { checkOptions, type ProtectOptions, type Settings } from './options.ts'
import { createRequests, type Requests } from './requests.ts'
import { stdioSession } from './stdio-session.ts'
import { createStepUp, type StepUp } from './step-up.ts'
import { type TransportSessions, transportSessions } from './transport-session.ts'

/** What protects a server of the SDK, of either generation. */
export interface Protection<M extends ModuleMap, Context> {
  readonly settings: Settings<M>
  readonly transports: TransportSessions
  readonly gate: Gate
  readonly required: Operations
  readonly stepUp: StepUp
  readonly handlers: Handlers<M, Context>
  readonly requests: Requests<Context>
}

/** Where a generation of the SDK keeps what the guard asks for. */
export interface Places<Context> extends Pick<Origin<Context>, 'signal' | 'isAnswer'> {
  /** Whether the call came through no HTTP request. */
  isLocal(context: Context): boolean
  authInfo(context: Context): AuthInfo | undefined
}

/** @throws TypeError naming the option that is wrong. */
export function protection<M extends ModuleMap, Context>(
  options: ProtectOptions<M>,
  { isLocal, authInfo, signal, isAnswer }: Places<Context>,
): Protection<M, Context> {
  const settings = checkOptions(options)
  const transports = transportSessions()
  const required = operations(settings)
  const guard = createGuard(settings, required)
  const onStdio = stdioSession(settings)
  const origin: Origin<Context> = {
    session(context): Session | Promise<Session> {
      if (isLocal(context)) return onStdio()
      const session = sessionOf(authInfo(context))
      if (session === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the call has no session')
      return session
    },
    signal,
    isAnswer,
  }
  const handlers = createHandlers(guard, origin)
  return {
    settings,
    transports,
    gate: createGate(settings, transports),
    required,
    stepUp: createStepUp(settings, required),
    handlers,
    requests: createRequests(required, guard, handlers, origin, settings.log),
  }
}
