import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { DelegationError } from '../../src/errors.ts'
import type { PasswordCredential } from '../../src/kinds.ts'
import type { DelegationModule, IssueContext, IssuedCredential } from '../../src/module.ts'
import { secret } from '../../src/secret.ts'
import type { ConformanceFixture } from '../../src/testing/conformance/fixture.ts'
import { testSession } from '../../src/testing/test-session.ts'

export interface LockerRequest {
  readonly target: string
}
export type Locker = DelegationModule<LockerRequest, PasswordCredential>
export type LockerFixture = ConformanceFixture<LockerRequest, PasswordCredential>
type Issued = IssuedCredential<PasswordCredential>

/** A backend in memory that knows which of its passwords are valid, and whose they are. */
export interface Backend {
  readonly operatorPassword: string
  readonly valid: Map<string, string>
}

const ISSUER = 'https://idp.example'
const ACCOUNTS: ReadonlyMap<string, string> = new Map([
  ['alice', 'ada'],
  ['bob', 'bert'],
])
const Request = z.strictObject({ target: z.enum(['files', 'mail']) })

async function open(backend: Backend, account: string, context: IssueContext): Promise<Issued> {
  const { signal } = context
  signal.throwIfAborted()
  await delay(4, undefined, { signal })
  const password = `password-${randomUUID()}`
  backend.valid.set(password, account)
  return {
    value: { kind: 'password', username: account, password: secret(password) },
    expiresAt: new Date(context.clock.now() + 60_000),
    async release() {
      await delay(1)
      backend.valid.delete(password)
    },
  }
}

/** A module without a fault. */
export function goodModule(backend: Backend): Locker {
  return {
    type: 'locker',
    request: Request,
    reuse: 'user',
    target: ({ target }) => target,
    principal: ({ issuer, subject }) => (issuer === ISSUER ? ACCOUNTS.get(subject) : undefined),
    issue: (_request, context) => open(backend, context.principal, context),
  }
}

/** What the kit is told of a module that `make` makes. */
export function lockerFixture(make: (backend: Backend) => Locker, patience = 250): LockerFixture {
  const backend: Backend = { operatorPassword: `operator-${randomUUID()}`, valid: new Map() }
  const as = (subject: string) => ({
    session: testSession({ issuer: ISSUER, subject, groups: new Set(['staff']) }),
    request: { target: 'files' },
  })
  return {
    create: () => make(backend),
    granted: [as('alice'), as('bob')],
    unmapped: as('mallory'),
    secretsOf: ({ password }) => [password.reveal()],
    secrets: [backend.operatorPassword],
    outstanding: () => backend.valid.size,
    whoami: async ({ password }) => backend.valid.get(password.reveal()) ?? 'nobody',
    faults: [
      {
        when: 'the backend is down',
        code: 'ERR_DELEGATION_UNAVAILABLE',
        create: () => make({ ...backend, valid: new Down() }),
        ...as('alice'),
      },
    ],
    patience,
  }
}

/** What a backend that is down answers to everything. */
class Down extends Map<string, string> {
  override set(): this {
    throw new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the backend is down')
  }
}

/** A module with one fault, and the checks that must find it. */
export interface BrokenModule {
  readonly fault: string
  readonly make: (backend: Backend) => Locker
  readonly caughtBy: readonly string[]
  /** In milliseconds, where the fault is that something never ends. */
  readonly patience?: number
  /** Further checks may fail, because they can't even begin. */
  readonly spoilsTheRest?: boolean
}

const OWN = 'gives each user a principal and secrets of their own'
const MIXED = 'does not mix up issues that run at once'
const NAMED = 'takes no principal from the request'
const ISSUERS = 'takes the same subject of another issuer for somebody else'
const UNMAPPED = 'issues nothing to a user without a mapping'
const INBOUND = 'keeps the inbound token out of the credential'
const SEEN = 'acts at the backend as the principal that it names'
const SHAPE = 'has the shape of a module'
const SCHEMA = 'validates requests synchronously, into plain JSON'
const PURE = 'derives target and principal synchronously, and always the same'
const UNCHANGED = 'leaves the request and the session as they were'
const REQUESTS = 'refuses hostile requests, or serves them, without a crash'
const SUBJECTS = 'refuses hostile subjects, or maps them, without a crash'
const FUTURE = 'issues credentials that expire in the future'
const ABORTED = 'issues nothing for a signal that is already aborted'
const ABORT = 'stops soon after an abort, and leaves nothing behind'
const RELEASE = 'gives back what it issued, whatever the reason'
const END = 'lets the process end once it is disposed'
const PRINTED = 'shows no secret where a credential is printed'
const CODES = 'fails only with DelegationErrors'
const ERRORS = 'keeps secrets out of its errors'
const LOG = 'keeps secrets out of its log'
const OUTPUT = 'writes nothing to stdout and stderr'
const DOWN = 'fails with ERR_DELEGATION_UNAVAILABLE when the backend is down'
const SERVES = 'serves its users through a registry, with one audit record for each call'
const DISPOSED = 'leaves nothing behind when its registry is disposed'
const BLOCKED = 'gives back at once what a blocked user holds'

/** Changes what a good module does with its issue. */
function issuing(
  work: (issue: () => Promise<Issued>, context: IssueContext, backend: Backend) => Promise<Issued>,
): (backend: Backend) => Locker {
  return (backend) => {
    const good = goodModule(backend)
    return {
      ...good,
      issue: (request, context) => work(() => good.issue(request, context), context, backend),
    }
  }
}

/** Changes members of a good module. */
function having(change: (good: Locker, backend: Backend) => Partial<Locker>): (backend: Backend) => Locker {
  return (backend) => {
    const good = goodModule(backend)
    return { ...good, ...change(good, backend) }
  }
}

/** Replaces the error with which a good module meets an outage. */
function failing(error: (backend: Backend) => Error): (backend: Backend) => Locker {
  return issuing(async (issue, _context, backend) => {
    try {
      return await issue()
    } catch (cause) {
      throw cause instanceof DelegationError ? error(backend) : cause
    }
  })
}

const unavailable = (message: string, cause?: unknown): DelegationError =>
  new DelegationError('ERR_DELEGATION_UNAVAILABLE', message, { cause })

export const brokenModules: readonly BrokenModule[] = [
  {
    fault: 'maps everybody to one account',
    make: having(() => ({ principal: () => 'ada' })),
    caughtBy: [UNMAPPED, OWN, ISSUERS, SERVES],
  },
  {
    fault: 'serves the first credential to everybody',
    make: (backend) => {
      let first: Promise<Issued> | undefined
      return issuing((issue) => {
        first ??= issue()
        return first
      })(backend)
    },
    caughtBy: [SEEN, OWN, MIXED],
  },
  {
    fault: 'keeps the caller in a variable of the module',
    make: (backend) => {
      let account = ''
      const good = goodModule(backend)
      return {
        ...good,
        async issue(_request, context) {
          account = context.principal
          await delay(2, undefined, { signal: context.signal })
          return await open(backend, account, context)
        },
      }
    },
    caughtBy: [MIXED],
  },
  {
    fault: 'lets the request name the account',
    make: having((good) => ({
      request: z.object({ target: z.string().max(64), username: z.string().max(64).optional() }) as never,
      principal: (session, request) => (request as { username?: string }).username ?? good.principal(session, request),
    })),
    caughtBy: [NAMED],
  },
  {
    fault: 'looks at the subject and not at the issuer',
    make: having(() => ({ principal: ({ subject }) => ACCOUNTS.get(subject) })),
    caughtBy: [ISSUERS],
  },
  {
    fault: 'has a guest account for those whom it does not know',
    make: having((good) => ({ principal: (session, request) => good.principal(session, request) ?? 'guest' })),
    caughtBy: [UNMAPPED, SERVES],
  },
  {
    fault: "hands the caller's token on",
    make: issuing(async (issue, { session }) => {
      const issued = await issue()
      return { ...issued, value: { ...issued.value, token: session.token } as PasswordCredential }
    }),
    caughtBy: [INBOUND, SERVES, BLOCKED],
  },
  {
    fault: 'acts as the operator and names the user',
    make: (backend) => ({ ...goodModule(backend), issue: (_request, context) => open(backend, 'operator', context) }),
    caughtBy: [SEEN, MIXED],
  },
  {
    fault: 'has a way of reuse that does not exist',
    make: having(() => ({ reuse: 'always' as never })),
    caughtBy: [SHAPE, SERVES, DISPOSED, BLOCKED],
  },
  {
    fault: 'validates asynchronously',
    spoilsTheRest: true,
    make: having(() => ({ request: z.strictObject({ target: z.string().refine(async () => true) }) })),
    caughtBy: [SCHEMA],
  },
  {
    fault: 'makes dates of its requests',
    spoilsTheRest: true,
    make: having(() => ({
      request: z.object({ target: z.string() }).transform((value) => ({ ...value, at: new Date(0) })),
    })),
    caughtBy: [SCHEMA],
  },
  {
    fault: 'maps to a promise',
    spoilsTheRest: true,
    make: having((good) => ({
      principal: (async (session: never, request: never) => good.principal(session, request)) as never,
    })),
    caughtBy: [PURE],
  },
  {
    fault: 'maps to another account each time',
    make: having((good) => ({
      principal: (session, request) => {
        const account = good.principal(session, request)
        return account === undefined ? undefined : `${account}-${randomUUID()}`
      },
    })),
    caughtBy: [PURE, SEEN, MIXED, SERVES],
  },
  {
    fault: 'adds a group to the session, past its seal',
    make: issuing((issue, { session }) => {
      Set.prototype.add.call(session.groups, 'admins')
      return issue()
    }),
    caughtBy: [UNCHANGED],
  },
  {
    fault: 'believes that every request has a target',
    make: having(() => ({ request: z.any() as never, target: ({ target }) => target.toLowerCase() })),
    caughtBy: [REQUESTS, CODES],
  },
  {
    fault: 'finds accounts in the prototype of its table',
    make: having(() => {
      const accounts: Record<string, string> = Object.fromEntries(ACCOUNTS)
      return { principal: ({ issuer, subject }) => (issuer === ISSUER ? accounts[subject] : undefined) }
    }),
    caughtBy: [SUBJECTS],
  },
  {
    fault: 'issues what has expired',
    make: issuing(async (issue, { clock }) => ({ ...(await issue()), expiresAt: new Date(clock.now() - 1) })),
    caughtBy: [FUTURE, SERVES, BLOCKED],
  },
  {
    fault: 'does not look at the signal',
    make: (backend) => ({
      ...goodModule(backend),
      issue: (_request, context) =>
        open(backend, context.principal, { ...context, signal: new AbortController().signal }),
    }),
    caughtBy: [ABORTED],
  },
  {
    fault: 'goes on for long after an abort',
    make: issuing(async (issue, { signal }) => {
      const issued = await issue().catch((error: unknown) => error)
      if (signal.aborted) await delay(2_000)
      if (issued instanceof Error) throw issued
      return issued as Issued
    }),
    caughtBy: [ABORTED, ABORT],
  },
  {
    fault: 'leaves what it has opened when it is aborted',
    make: (backend) => ({
      ...goodModule(backend),
      async issue(_request, context) {
        context.signal.throwIfAborted()
        const issued = await open(backend, context.principal, { ...context, signal: new AbortController().signal })
        await delay(4, undefined, { signal: context.signal })
        return issued
      },
    }),
    caughtBy: [ABORT],
  },
  {
    fault: 'never gives anything back',
    make: issuing(async (issue) => ({ ...(await issue()), release: async () => {} })),
    caughtBy: [RELEASE, DISPOSED, BLOCKED],
  },
  {
    fault: 'has no release',
    make: issuing(async (issue) => {
      const { value, expiresAt } = await issue()
      return { value, expiresAt }
    }),
    caughtBy: [RELEASE, DISPOSED, BLOCKED],
  },
  {
    fault: 'keeps what a blocked user holds until it expires',
    make: issuing(async (issue) => {
      const issued = await issue()
      return {
        ...issued,
        release: async (reason, options) => {
          if (reason !== 'revoked') await issued.release?.(reason, options)
        },
      }
    }),
    caughtBy: [RELEASE, BLOCKED],
  },
  {
    fault: 'takes for ever to give back',
    patience: 120,
    make: issuing(async (issue) => {
      const issued = await issue()
      return {
        ...issued,
        release: async (reason, options) => {
          await issued.release?.(reason, options)
          await new Promise(() => {})
        },
      }
    }),
    caughtBy: [RELEASE],
  },
  {
    fault: 'leaves a timer behind',
    make: issuing(async (issue) => {
      const issued = await issue()
      const timer = setInterval(() => {}, 60_000)
      // The test's own process has to end.
      setTimeout(() => clearInterval(timer), 2_000).unref()
      return issued
    }),
    caughtBy: [END],
  },
  {
    fault: 'is never done with its disposal',
    patience: 120,
    make: having(() => ({ dispose: () => new Promise(() => {}) })),
    caughtBy: [END],
  },
  {
    fault: 'has its password in plain text',
    make: issuing(async (issue) => {
      const issued = await issue()
      const text = issued.value.password.reveal()
      return { ...issued, value: { ...issued.value, password: { reveal: () => text, text } } }
    }),
    caughtBy: [PRINTED],
  },
  {
    fault: 'throws bare errors',
    make: failing(() => new Error('ECONNREFUSED')),
    caughtBy: [CODES, DOWN],
  },
  {
    fault: 'takes an outage for a refusal',
    make: failing(() => new DelegationError('ERR_DELEGATION_DENIED', 'refused')),
    caughtBy: [DOWN],
  },
  {
    fault: 'puts its own password into an error',
    make: failing(({ operatorPassword }) => unavailable(`cannot log in with ${operatorPassword}`)),
    caughtBy: [ERRORS],
  },
  {
    fault: 'puts its own password into the cause of an error',
    make: failing(({ operatorPassword }) =>
      unavailable('down', { headers: { authorization: btoa(operatorPassword) } }),
    ),
    caughtBy: [ERRORS],
  },
  {
    fault: 'logs the credential',
    make: issuing(async (issue, { log }) => {
      const issued = await issue()
      log.debug({ password: issued.value.password.reveal() }, 'issued')
      return issued
    }),
    caughtBy: [LOG, SERVES],
  },
  {
    fault: 'prints',
    make: issuing((issue) => {
      process.stderr.write('')
      return issue()
    }),
    caughtBy: [OUTPUT],
  },
  {
    fault: 'names a principal that no record may hold',
    make: issuing(async (issue) => ({ ...(await issue()), principal: 'ada\r\nbert' })),
    caughtBy: [SEEN, OWN, MIXED, SERVES, BLOCKED],
  },
]
