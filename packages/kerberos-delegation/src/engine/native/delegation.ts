import { isNotDelegated, type JudgementRules, judge, type Pac } from '../../judgement.ts'
import { lower } from '../../names.ts'
import { PacError } from '../../ndr.ts'
import { decodeLogonInfo, decodeUpnInfo } from '../../pac.ts'
import type { TicketFacts, TicketOrder, TicketUser } from '../messages.ts'
import { copyTicket, destroyCache, type TicketEntry, ticketsIn } from './credential-cache.ts'
import {
  accept,
  acquire,
  attributeOf,
  type Credential,
  deleteContext,
  displayName,
  impersonate,
  importName,
  initiate,
  initiatorOf,
  mint,
  releaseCredential,
  releaseName,
  storeInto,
} from './gss.ts'
import { inStage, StageError } from './stages.ts'

/** The service's own ticket-granting ticket, and the keytab that opens tickets for the service. */
export interface ServiceTicket {
  readonly principal: string
  /** Names of a credential cache and of a keytab in memory. */
  readonly cache: string
  readonly keytab: string
}

/** A ticket for a user, with names of caches that are new. */
export interface Delegation extends TicketOrder {
  readonly service: string | undefined
  readonly as: ServiceTicket
  readonly rules: JudgementRules
  /** In memory that threads share: 1 as soon as nobody waits any more. */
  readonly cancelled: Int32Array
  /** Where the ticket goes: a cache that holds nothing else. */
  readonly cache: string
  /** Used for the time of the call. */
  readonly scratch: string
}

/** Asks the KDC for the service's own ticket-granting ticket; answers with its lifetime in seconds. */
export function acquireServiceTicket({ principal, cache, keytab }: ServiceTicket): number {
  return inStage('service', () => {
    const name = importName(principal)
    try {
      const { credential, seconds } = acquire(name, { client_keytab: keytab, ccache: cache })
      releaseCredential(credential)
      return seconds
    } finally {
      releaseName(name)
    }
  })
}

/** A user as the KDC named them: the evidence ticket in `credential`, and what it says. */
interface Evidence {
  readonly credential: Credential
  readonly client: string
  readonly pac: Pac | undefined
}

/**
 * S4U2Self, judgement, S4U2Proxy: leaves the user's ticket for the target in a cache of its own, and nothing else.
 * Nobody who is refused by the judgement is asked for at the target.
 * @throws StageError
 * @see MS-SFU 3.1.5.1
 */
export function obtainTicket(delegation: Delegation): TicketFacts {
  const { user, service, as } = delegation
  const own = inStage('service', () => ownCredential(as))
  try {
    let evidence = evidenceOf(user, own, delegation)
    try {
      if (user.enterprise && evidence.pac !== undefined) evidence = reissued(evidence, own, delegation)
      const { client, pac } = evidence
      const facts = { client, account: pac?.logon.account, sid: pac?.logon.sid, groups: pac?.logon.groups ?? [] }
      if (service === undefined) {
        const { forwardable, endsAt } = withTickets(evidence, delegation, () => evidenceTicket(evidence, delegation))
        return { ...facts, forwardable, expiresAt: endsAt }
      }
      proxy(evidence, service, delegation)
      return withTickets(evidence, delegation, () => {
        const { forwardable } = evidenceTicket(evidence, delegation)
        return { ...facts, forwardable, expiresAt: isolate(evidence, service, delegation).endsAt }
      })
    } finally {
      releaseCredential(evidence.credential)
    }
  } finally {
    releaseCredential(own)
  }
}

/** Takes the ticket-granting ticket that is there: nothing is renewed. */
function ownCredential({ principal, cache }: ServiceTicket): Credential {
  const name = importName(principal)
  try {
    return acquire(name, { ccache: cache }).credential
  } finally {
    releaseName(name)
  }
}

/** Asks for the user, and judges who the KDC answered with. */
function evidenceOf(user: TicketUser, own: Credential, delegation: Delegation): Evidence {
  const { as, rules, service } = delegation
  heed(delegation)
  const credential = inStage('self', () => {
    const name = user.enterprise ? importName(`${user.name}@${user.realm}`, 'enterprise') : importName(user.name)
    try {
      return impersonate(own, name)
    } finally {
      releaseName(name)
    }
  })
  try {
    const { client, pac } = inStage('accept', () => opened(credential, as))
    const isUnconfirmed = user.enterprise && pac?.upn === undefined
    const judgement = isUnconfirmed
      ? ({ refusal: 'no-pac' } as const)
      : judge(pac, user, rules, { delegate: service !== undefined })
    if (judgement !== undefined)
      throw new StageError({ stage: 'judge', text: `refused: ${judgement.refusal}`, ...judgement })
    // The domain may answer with the account's own case.
    if (!user.enterprise && lower(client) !== lower(user.name))
      throw new StageError({ stage: 'self', text: `the KDC answered with a ticket of ${client}, not of ${user.name}` })
    return { credential, client, pac }
  } catch (error) {
    releaseCredential(credential)
    throw error
  }
}

/** @throws StageError where nobody waits any more: the KDC is asked for nobody but the caller of a live session. */
function heed({ cancelled }: Delegation): void {
  if (Atomics.load(cancelled, 0) !== 0)
    throw new StageError({ stage: 'self', text: 'nobody waits for the ticket any more' })
}

/**
 * What was found by an enterprise name is asked for again by the account's own name: some KDCs put the name that was
 * asked for into tickets, and no backend knows the account by that.
 */
function reissued(first: Evidence, own: Credential, delegation: Delegation): Evidence {
  const { pac } = first
  const name = `${pac?.logon.account}@${delegation.user.realm}`
  if (pac === undefined || first.client === name) return first
  const again = evidenceOf({ ...delegation.user, name, enterprise: false }, own, delegation)
  if (again.pac?.logon.sid !== pac.logon.sid) {
    releaseCredential(again.credential)
    throw new StageError({ stage: 'judge', text: `${name} is another account`, refusal: 'other-account' })
  }
  releaseCredential(first.credential)
  return again
}

/** Opens the evidence ticket as the service that it is for. No KDC is asked. */
function opened(credential: Credential, { principal, keytab }: ServiceTicket): Omit<Evidence, 'credential'> {
  const self = importName(principal)
  try {
    const token = mint(credential, self)
    const acceptor = acquire(self, { keytab, rcache: 'none:' }).credential
    try {
      const { context, source } = accept(acceptor, token)
      try {
        return { client: displayName(source), pac: pacOf(source) }
      } finally {
        releaseName(source)
        deleteContext(context)
      }
    } finally {
      releaseCredential(acceptor)
    }
  } finally {
    releaseName(self)
  }
}

function pacOf(source: Parameters<typeof attributeOf>[0]): Pac | undefined {
  const logon = attributeOf(source, 'urn:mspac:logon-info')
  if (logon === undefined) return undefined
  const upn = attributeOf(source, 'urn:mspac:upn-dns-info')
  try {
    return { logon: decodeLogonInfo(logon), upn: upn === undefined ? undefined : decodeUpnInfo(upn) }
  } catch (cause) {
    if (cause instanceof PacError)
      throw new StageError({ stage: 'pac', text: cause.message, refusal: 'no-pac' }, { cause })
    throw cause
  }
}

/** S4U2Proxy, once: the ticket is then in the credential. */
function proxy(evidence: Evidence, service: string, delegation: Delegation): void {
  const { credential, client, pac } = evidence
  heed(delegation)
  try {
    inStage('proxy', () => {
      const target = importName(service)
      try {
        const { context } = initiate(credential, target)
        const initiator = initiatorOf(context)
        deleteContext(context)
        if (initiator !== client)
          throw new StageError({ stage: 'proxy', text: `the token would be of ${initiator}, not of ${client}` })
      } finally {
        releaseName(target)
      }
    })
  } catch (error) {
    if (!(error instanceof StageError)) throw error
    const { forwardable } = withTickets(evidence, delegation, () => evidenceTicket(evidence, delegation))
    throw new StageError(
      { ...error.failure, evidence: { forwardable, notDelegated: pac !== undefined && isNotDelegated(pac) } },
      { cause: error },
    )
  }
}

/** Runs with a cache that holds all tickets of the credential, the service's own among them; destroys it. */
function withTickets<T>({ credential }: Evidence, { scratch }: Delegation, run: () => T): T {
  return inStage('ticket', () => {
    try {
      storeInto(credential, scratch)
      return run()
    } finally {
      destroyCache(scratch)
    }
  })
}

function evidenceTicket({ client }: Evidence, { as, scratch }: Delegation): TicketEntry {
  const ticket = ticketsIn(scratch).find((entry) => entry.client === client && entry.server === as.principal)
  if (ticket === undefined) throw noTicket(client, as.principal)
  return ticket
}

/** Copies the target's ticket alone. */
function isolate({ client }: Evidence, service: string, { cache, scratch }: Delegation): TicketEntry {
  const ticket = copyTicket(scratch, cache, client, service)
  if (ticket === undefined) throw noTicket(client, service)
  return ticket
}

function noTicket(client: string, service: string): StageError {
  return new StageError({ stage: 'ticket', text: `there is no ticket of ${client} to ${service}` })
}
