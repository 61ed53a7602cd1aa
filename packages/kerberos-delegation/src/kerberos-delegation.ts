import {
  DelegationError,
  type DelegationModule,
  type Identity,
  type KerberosCredential,
  type Logger,
} from '@mcp-delegation/core'
import { TicketCredential } from './credential.ts'
import { createEngine } from './engine/create-engine.ts'
import { EngineError } from './engine/engine.ts'
import type { TicketUser } from './engine/messages.ts'
import { failureOf } from './failure.ts'
import { type CheckedOptions, checkOptions, type KerberosDelegationOptions } from './options.ts'
import { checkPlatform } from './platform.ts'
import { type CheckedRequest, type KerberosRequest, kerberosRequest } from './request.ts'
import { parseTarget } from './targets.ts'

/** How many calls to the KDC run at once. */
const MAX_CONCURRENT = 8
/** How long the KDC is left alone after it did not answer in time, in milliseconds. */
const PROBE_INTERVAL = 5_000
/** Of the time that a call may take, what is left for the answer to arrive. */
const MARGIN = 1.05
const MAX_ACCOUNTS = 100_000

/**
 * Kerberos tickets of the session's user, from a keytab and without the user's password: S4U2Self with protocol
 * transition, the user judged by the privilege attributes, then S4U2Proxy for one allowed target. Native code, keys and
 * tickets stay in a helper process. Rejects with `ERR_DELEGATION_DENIED` for targets and users that the options or the
 * domain refuse, `ERR_DELEGATION_UNAVAILABLE` for an outage, `ERR_DELEGATION_PROTOCOL` where an operator must act; the
 * cause is a `KerberosError` that says what to do.
 *
 * For Linux with MIT Kerberos 1.19 or later.
 * @throws TypeError naming the option that is wrong; on other systems than Linux.
 * @see https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-sfu
 */
export function kerberosDelegation(
  options: KerberosDelegationOptions,
): DelegationModule<CheckedRequest, KerberosCredential, KerberosRequest> {
  checkPlatform()
  const checked = checkOptions(options)
  const { realm, targets, mayExport, mapping, deadline, maxTicketLifetime, servicePrincipal } = checked
  const people = new Accounts()
  const log = latestLog()
  const engine = createEngine({
    principal: servicePrincipal,
    keytabPath: checked.keytabPath,
    rules: checked.rules,
    profile: checked.profile,
    maxConcurrent: MAX_CONCURRENT,
    deadline,
    probeInterval: PROBE_INTERVAL,
    log: log.forward,
  })
  const failure = (error: EngineError, user?: string, target?: string): DelegationError =>
    failureOf(error, { ...checked, user, target })

  return {
    type: 'kerberos',
    request: kerberosRequest((spn) => targets.match(spn) ?? parseTarget(spn)),
    reuse: 'user',
    maxAge: maxTicketLifetime,
    deadline: Math.ceil(deadline * MARGIN),
    maxConcurrent: MAX_CONCURRENT,
    target: ({ targetService }) => targetService ?? servicePrincipal,
    principal(session, { targetService, userPrincipalName }) {
      if (targetService !== undefined && targets.match(targetService) === undefined)
        throw denied('the target is not allowed')
      const mapped = mapping.principal(session)
      if (mapped === undefined) return undefined
      const user = userOf(checked, mapped)
      if (userPrincipalName !== undefined && !isSame(checked.userOf(userPrincipalName), user))
        throw denied("the user principal name is not the caller's")
      return user.name
    },
    linked: mapping.linked,
    async issue({ targetService }, { session, principal, signal, clock, log: current }) {
      log.use(current)
      const service = targetService === undefined ? undefined : `${targetService}@${realm}`
      const about = (error: unknown): unknown =>
        error instanceof EngineError ? failure(error, principal, targetService) : error
      let ticket: Awaited<ReturnType<typeof engine.obtain>>
      try {
        ticket = await engine.obtain({ user: userOf(checked, principal), service }, { signal })
      } catch (error) {
        throw about(error)
      }
      const { client, sid, expiresAt } = ticket.facts
      const conflict = people.conflict(principal, sid ?? client, session, mapping.linked)
      if (conflict !== undefined) {
        await ticket.release()
        throw denied(`principal_conflict: ${conflict}`)
      }
      const credential = new TicketCredential(ticket, targetService, service ?? servicePrincipal, {
        mayExport: (spn) => mayExport?.match(spn) !== undefined,
        // A ticket that is there needs no KDC: it is the helper process that is late.
        failure: (error) =>
          failure(
            error.kind === 'late' ? new EngineError('lost', error.message, { cause: error }) : error,
            principal,
            targetService,
          ),
      })
      return {
        value: credential.value(),
        lend: (loan) => credential.value(loan),
        usable: () => credential.usable,
        expiresAt: new Date(Math.min(expiresAt, clock.now() + maxTicketLifetime)),
        principal: client,
        release: () => credential.release(),
      }
    },
    async check({ signal }) {
      try {
        await engine.check({ signal })
      } catch (error) {
        throw error instanceof EngineError ? failure(error) : error
      }
    },
    dispose: () => engine.dispose(),
  }
}

function userOf(options: CheckedOptions, mapped: string): TicketUser {
  const user = options.userOf(mapped)
  if (user === undefined) throw denied("the user's principal is malformed, or its suffix belongs to no realm")
  return user
}

function isSame(one: TicketUser | undefined, other: TicketUser): boolean {
  return one !== undefined && one.name === other.name && one.enterprise === other.enterprise
}

/** The engine outlives a call, and logs where the latest one does. */
function latestLog(): { readonly forward: Logger; use(log: Logger): void } {
  let latest: Logger | undefined
  const to = (level: keyof Logger) => (fields: object, message: string) => latest?.[level](fields, message)
  return {
    forward: { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') },
    use: (log) => {
      latest = log
    },
  }
}

/**
 * Whose account is whose, by SID: one account can be reached by its name and by a user principal name, which the mapping
 * can't know, and a name can come to be another account's.
 */
class Accounts {
  readonly #owners = new Map<string, Identity>()
  readonly #accounts = new Map<string, string>()

  /** Why this identity may not have the account that the domain knows by this principal; remembers it where it may. */
  conflict(
    principal: string,
    account: string,
    { issuer, subject }: Identity,
    linked: (a: Identity, b: Identity) => boolean,
  ): string | undefined {
    const owner = this.#owners.get(account)
    const isOwn = owner === undefined || (owner.issuer === issuer && owner.subject === subject)
    if (!isOwn && !linked(owner, { issuer, subject })) return "the user's account belongs to another identity"
    const before = this.#accounts.get(principal)
    if (before !== undefined && before !== account) return "the user's name has become another account's"
    if (before === undefined && this.#accounts.size >= MAX_ACCOUNTS) return 'the table of accounts is full'
    this.#accounts.set(principal, account)
    if (owner === undefined) this.#owners.set(account, { issuer, subject })
    return undefined
  }
}

function denied(message: string): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message)
}
