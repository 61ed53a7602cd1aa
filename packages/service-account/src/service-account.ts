import { DelegationError, type DelegationModule, type PasswordCredential, type Session } from '@mcp-delegation/core'
import {
  type Account,
  type CheckedAccount,
  checkAccount,
  checkMaxAge,
  checkPasswords,
  isName,
  issueAccount,
} from './account.ts'
import { looks } from './likeness.ts'
import { type TargetRequest, targetRequest } from './target-request.ts'

/** An account for each level of callers: readers never get the one of administrators. */
export interface LeveledAccounts {
  /** By what `level` answers. Each level has a user name and a password of its own. */
  readonly levels: Readonly<Record<string, Account>>
}

/** What {@link serviceAccount} takes. */
export interface ServiceAccountOptions {
  /** By target: one account for everybody who is allowed, or one for each level. Other targets are denied. */
  readonly accounts: Readonly<Record<string, Account | LeveledAccounts>>
  /** Who may use a shared account. Synchronous; only `true` is a yes. Default: nobody. */
  readonly allow?: ((session: Session, request: TargetRequest) => boolean) | undefined
  /**
   * The level of the caller, asked for targets with levels. Synchronous. An answer without an account is denied; so is
   * `undefined`.
   */
  readonly level?: ((session: Session, request: TargetRequest) => string | undefined) | undefined
  /** How long a password is used until it is read again, in milliseconds. Default: 60,000. */
  readonly maxAge?: number | undefined
}

type Choice = (session: Session, request: TargetRequest) => CheckedAccount

/**
 * Accounts that many users share: the last resort for backends that know no users. Audit names it as what it is, with
 * the user name that the backend sees. Denies (`ERR_DELEGATION_DENIED`) unlisted targets, callers that `allow` does not
 * let in, and unknown levels; a password that can't be read is `ERR_DELEGATION_UNAVAILABLE`.
 * @throws TypeError naming the option that is wrong.
 */
export function serviceAccount(options: ServiceAccountOptions): DelegationModule<TargetRequest, PasswordCredential> {
  const { accounts, allow, level } = options ?? {}
  for (const [name, rule] of Object.entries({ allow, level }))
    if (rule !== undefined && typeof rule !== 'function') throw new TypeError(`"${name}" must be a function`)
  const maxAge = checkMaxAge(options?.maxAge)
  const choices = new Map<string, Choice>()
  const all: CheckedAccount[] = []
  for (const [target, given] of entriesOf(accounts, 'accounts')) {
    const option = `accounts.${target}`
    if (isLeveled(given)) {
      if (level === undefined) throw new TypeError(`"level" must be a function, since "${option}" has levels`)
      const levels = readLevels(given, option)
      all.push(...levels.values())
      choices.set(target, chooseByLevel(levels, level))
    } else {
      const account = checkAccount(given, option)
      all.push(account)
      choices.set(target, () => account)
    }
  }
  if (level !== undefined && !Object.values(accounts).some(isLeveled))
    throw new TypeError('"level" is never asked: no target of "accounts" has levels')

  const choose: Choice = (session, request) => {
    const choice = choices.get(request.target)
    if (choice === undefined) throw denied('there is no shared account for this target')
    if (allow === undefined || answerOf(() => allow(session, request)) !== true)
      throw denied('the caller may not use the shared account')
    return choice(session, request)
  }
  return {
    type: 'service-account',
    request: targetRequest,
    reuse: 'user',
    shared: true,
    maxAge,
    target: ({ target }) => target,
    principal: (session, request) => choose(session, request).username,
    async issue(request, context) {
      const account = choose(context.session, request)
      // The rules are asked again, but the answer that policy and audit know of counts.
      if (account.username !== context.principal) throw denied('the level of the caller has changed')
      return await issueAccount(account, context, maxAge)
    },
    check: checkPasswords(all),
  }
}

function denied(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message, { cause })
}

/** What a rule answers; nothing where it fails or is asynchronous. */
function answerOf(rule: () => unknown): unknown {
  let answer: unknown
  try {
    answer = rule()
  } catch (cause) {
    throw denied('the rule for the shared account failed', cause)
  }
  if (answer instanceof Promise) answer.catch(() => {})
  return answer
}

function isLeveled(account: Account | LeveledAccounts): account is LeveledAccounts {
  return account !== null && typeof account === 'object' && 'levels' in account
}

function entriesOf<T>(record: Readonly<Record<string, T>>, option: string): readonly (readonly [string, T])[] {
  if (record === null || typeof record !== 'object' || Array.isArray(record))
    throw new TypeError(`"${option}" must be an object`)
  const entries = Object.entries(record)
  if (!entries.every(([name]) => isName(name))) throw new TypeError(`"${option}" must have names of clean text`)
  return entries
}

function readLevels(given: LeveledAccounts, option: string): ReadonlyMap<string, CheckedAccount> {
  if ('username' in given || 'password' in given) throw new TypeError(`"${option}" must have levels or be an account`)
  const levels = new Map<string, CheckedAccount>()
  const owners = { username: new Map<unknown, string>(), password: new Map<unknown, string>() }
  for (const [name, account] of entriesOf(given.levels, `${option}.levels`)) {
    const checked = checkAccount(account, `${option}.levels.${name}`)
    const own = { username: looks(checked.username), password: checked.source }
    for (const member of ['username', 'password'] as const) {
      const owner = owners[member].get(own[member])
      if (owner !== undefined)
        throw new TypeError(`"${checked.option}.${member}" must not be the one of level "${owner}"`)
      owners[member].set(own[member], name)
    }
    levels.set(name, checked)
  }
  return levels
}

function chooseByLevel(
  levels: ReadonlyMap<string, CheckedAccount>,
  level: NonNullable<ServiceAccountOptions['level']>,
): Choice {
  return (session, request) => {
    const account = levels.get(answerOf(() => level(session, request)) as string)
    if (account === undefined) throw denied('there is no shared account for the level of the caller')
    return account
  }
}
