import { DelegationError } from './errors.ts'
import type { AnyModule } from './module.ts'
import type { Identity, Session } from './session.ts'

/** How many principals one module may have. */
const MAX_PRINCIPALS = 100_000

interface Claim extends Identity {
  proven: boolean
}

/**
 * Remembers which identity had a principal first: a second one is refused. Two identities with one account are a
 * mapping error or an attack, and can't be told apart afterwards.
 */
export class Principals {
  readonly #first = new Map<string, Claim>()
  readonly #max: number

  constructor(max: number = MAX_PRINCIPALS) {
    this.#max = max
  }

  /**
   * Takes the principal for this identity, until {@link drop} gives it back.
   * @throws DelegationError `ERR_DELEGATION_DENIED` where the principal belongs to another identity.
   */
  claim(principal: string, session: Session, module: AnyModule): void {
    const first = this.#first.get(principal)
    if (first === undefined) {
      if (this.#first.size >= this.#max)
        throw new DelegationError('ERR_DELEGATION_DENIED', 'principal_conflict: the table of principals is full')
      this.#first.set(principal, { issuer: session.issuer, subject: session.subject, proven: false })
      return
    }
    if (first.subject === session.subject && first.issuer === session.issuer) return
    const second = { issuer: session.issuer, subject: session.subject }
    if (module.linked?.({ issuer: first.issuer, subject: first.subject }, second) === true) return
    throw new DelegationError('ERR_DELEGATION_DENIED', 'principal_conflict: the account belongs to another identity')
  }

  /** As {@link claim}, for good: the backend has issued a credential. */
  prove(principal: string, session: Session, module: AnyModule): void {
    this.claim(principal, session, module)
    const first = this.#first.get(principal)
    if (first !== undefined) first.proven = true
  }

  /** Gives back a principal that the backend has never issued anything for: who is refused must not keep it. */
  drop(principal: string, session: Session): void {
    const first = this.#first.get(principal)
    if (first === undefined || first.proven) return
    if (first.subject === session.subject && first.issuer === session.issuer) this.#first.delete(principal)
  }
}
