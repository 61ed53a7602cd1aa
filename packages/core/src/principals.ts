import { DelegationError } from './errors.ts'
import type { AnyModule } from './module.ts'
import type { Identity, Session } from './session.ts'

/** How many principals one module may have. */
const MAX_PRINCIPALS = 100_000

interface Owner extends Identity {
  proven: boolean
  /** Issues under way. */
  pending: number
}

/** One issue's hold on a principal. */
export interface PrincipalClaim {
  /** The backend has issued a credential: the principal stays with its identity for good. */
  prove(): void
  /** The issue is over. Call it once. */
  end(): void
}

/**
 * Remembers which identity had a principal first: a second one is refused. Two identities with one account are a
 * mapping error or an attack, and can't be told apart afterwards.
 */
export class Principals {
  readonly #owners = new Map<string, Owner>()
  readonly #max: number

  constructor(max: number = MAX_PRINCIPALS) {
    this.#max = max
  }

  /** @throws DelegationError `ERR_DELEGATION_DENIED` where the principal belongs to another identity. */
  check(principal: string, { issuer, subject }: Session, module: AnyModule): void {
    const owner = this.#owners.get(principal)
    if (owner === undefined || (owner.subject === subject && owner.issuer === issuer)) return
    if (module.linked?.({ issuer: owner.issuer, subject: owner.subject }, { issuer, subject }) === true) return
    throw new DelegationError('ERR_DELEGATION_DENIED', 'principal_conflict: the account belongs to another identity')
  }

  /**
   * Takes the principal for the session's identity. Who is refused by the backend does not keep it: it is free again
   * when every claim on it has ended and none was proven.
   * @throws DelegationError `ERR_DELEGATION_DENIED` where the principal belongs to another identity.
   */
  claim(principal: string, session: Session, module: AnyModule): PrincipalClaim {
    this.check(principal, session, module)
    const { issuer, subject } = session
    const owner = this.#owners.get(principal) ?? { issuer, subject, proven: false, pending: 0 }
    if (!this.#owners.has(principal) && this.#owners.size >= this.#max)
      throw new DelegationError('ERR_DELEGATION_DENIED', 'principal_conflict: the table of principals is full')
    this.#owners.set(principal, owner)
    owner.pending++
    return {
      prove() {
        owner.proven = true
      },
      end: () => {
        owner.pending--
        if (owner.pending === 0 && !owner.proven) this.#owners.delete(principal)
      },
    }
  }
}
