import { DelegationError } from './errors.ts'
import type { AnyModule } from './module.ts'
import type { Identity, Session } from './session.ts'

/** How many principals one module may have. */
const MAX_PRINCIPALS = 100_000

/**
 * Remembers which identity had a principal first: a second one is refused. Two identities with one account are a
 * mapping error or an attack, and can't be told apart afterwards.
 */
export class Principals {
  readonly #first = new Map<string, Identity>()
  readonly #max: number

  constructor(max: number = MAX_PRINCIPALS) {
    this.#max = max
  }

  /** @throws DelegationError `ERR_DELEGATION_DENIED` where the principal belongs to another identity. */
  claim(principal: string, session: Session, module: AnyModule): void {
    const first = this.#first.get(principal)
    if (first === undefined) {
      if (this.#first.size >= this.#max)
        throw new DelegationError('ERR_DELEGATION_DENIED', 'principal_conflict: the table of principals is full')
      this.#first.set(principal, { issuer: session.issuer, subject: session.subject })
      return
    }
    if (first.subject === session.subject && first.issuer === session.issuer) return
    const second = { issuer: session.issuer, subject: session.subject }
    if (module.linked?.(first, second) === true) return
    throw new DelegationError('ERR_DELEGATION_DENIED', 'principal_conflict: the account belongs to another identity')
  }
}
