import type { Logger } from '../log.ts'
import type { Session } from '../session.ts'
import { askFor } from './ask-more.ts'
import { textsIn } from './claims.ts'
import { cleanNames } from './session-of.ts'

/**
 * Asks somebody else for the groups of a session: a directory, for a user with more groups than fit into a token, or
 * for names where the tokens of the issuer hold ids.
 */
export interface GroupResolver {
  /**
   * All groups of `session`, by the names that rules are to know. They take the place of those in the token.
   *
   * Runs once for a token, while that is remembered, and before `verifyMore`; for machines too. A `DelegationError`
   * that it throws is passed on; anything else, a wrong answer included, is `ERR_DELEGATION_UNAVAILABLE`: a session
   * never has groups that were guessed.
   */
  readonly resolve: (session: Session, options: { readonly signal: AbortSignal }) => Promise<Iterable<string>>
  /** Whether it is asked for every session, or only where the groups of the token are incomplete (the default). */
  readonly when?: 'incomplete' | 'always' | undefined
}

const MEMBERS: readonly string[] = ['resolve', 'when'] satisfies readonly (keyof GroupResolver)[]

/**
 * A checked copy.
 * @throws TypeError naming `option`.
 */
export function groupResolver(value: GroupResolver | undefined, option: string): GroupResolver | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null) throw new TypeError(`"${option}" must be an object`)
  const unknown = Object.keys(value).find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) throw new TypeError(`"${option}.${unknown}" is not an option`)
  const { resolve, when = 'incomplete' } = value
  if (typeof resolve !== 'function') throw new TypeError(`"${option}.resolve" must be a function`)
  if (when !== 'incomplete' && when !== 'always')
    throw new TypeError(`"${option}.when" must be 'incomplete' or 'always'`)
  return { resolve: resolve.bind(value), when }
}

/** Asks for the groups of `session`, for no longer than `timeout`; a name that can't be shown is left out. */
export function resolveGroups(
  { resolve }: GroupResolver,
  session: Session,
  run: AbortSignal,
  timeout: number,
  log: Logger,
): Promise<ReadonlySet<string>> {
  return askFor('groupResolver', timeout, run, async (signal) => {
    const answer: unknown = await resolve(session, { signal })
    if (!isIterable(answer)) throw new Error('the answer is not a list of names')
    return cleanNames(textsIn(answer), 'groups', session.issuer, log)
  })
}

const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.iterator in value
