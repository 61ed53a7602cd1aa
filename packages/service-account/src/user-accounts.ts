import {
  DelegationError,
  type DelegationModule,
  type Identity,
  type PasswordCredential,
  principalMapping,
  type Session,
} from '@mcp-delegation/core'
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

/** The account of one user at one target. */
export interface UserAccount extends Identity, Account {
  readonly target: string
}

/** What {@link userAccounts} takes. */
export interface UserAccountsOptions {
  /** One entry for each user and target. */
  readonly accounts: readonly UserAccount[]
  /** Lists of identities that are one person, and so may share an account. Default: none. */
  readonly links?: readonly (readonly Identity[])[] | undefined
  /**
   * Whether user names that differ in case, accents, compatibility forms or invisible characters are different accounts
   * at the backends. It decides which entries are refused as the same account; names are handed out as written. Default:
   * insensitive.
   */
  readonly case?: 'sensitive' | 'insensitive' | undefined
  /** How long a password is used until it is read again, in milliseconds. Default: 60,000. */
  readonly maxAge?: number | undefined
}

/**
 * An account of their own for each of a handful of users: in development, and where a file can hold them all. Users
 * without an entry for the target are not mapped (`ERR_DELEGATION_NO_IDENTITY`, so that a next module may serve them);
 * a machine is `ERR_DELEGATION_DENIED`, and a password that can't be read `ERR_DELEGATION_UNAVAILABLE`.
 * @throws TypeError naming the option that is wrong, and for entries that repeat each other, or that would give two
 * people one user name, at whatever target, or one password.
 */
export function userAccounts(options: UserAccountsOptions): DelegationModule<TargetRequest, PasswordCredential> {
  const { accounts, links, case: caseRule = 'insensitive' } = options ?? {}
  if (!Array.isArray(accounts)) throw new TypeError('"accounts" must be a list of accounts')
  if (caseRule !== 'sensitive' && caseRule !== 'insensitive')
    throw new TypeError("\"case\" must be 'sensitive' or 'insensitive'")
  const maxAge = checkMaxAge(options.maxAge)
  const { linked } = principalMapping({ case: 'sensitive', issuers: [], links })
  const seen = { username: new Owners(linked), password: new Owners(linked) }
  const entries = new Map<string, CheckedAccount>()
  for (const [index, given] of (accounts as readonly UserAccount[]).entries()) {
    const account = checkAccount(given, `accounts[${index}]`)
    const { issuer, subject, target } = given
    for (const [name, value] of Object.entries({ issuer, subject, target }))
      if (!isName(value)) throw new TypeError(`"${account.option}.${name}" must be 1 to 255 bytes of clean text`)
    const key = keyOf(given, target)
    const twin = entries.get(key)
    if (twin !== undefined) throw new TypeError(`"${account.option}" is for the user and target of "${twin.option}"`)
    const owner = { issuer, subject, option: account.option }
    seen.username.claim(caseRule === 'sensitive' ? account.username : looks(account.username), owner, 'username')
    seen.password.claim(account.source, owner, 'password')
    entries.set(key, account)
  }
  const find = (session: Session, { target }: TargetRequest): CheckedAccount | undefined => {
    if (session.kind !== 'user') throw denied('a machine never acts as a user')
    return entries.get(keyOf(session, target))
  }
  return {
    type: 'user-account',
    request: targetRequest,
    reuse: 'user',
    maxAge,
    linked,
    target: ({ target }) => target,
    principal: (session, request) => find(session, request)?.username,
    async issue(request, context) {
      const account = find(context.session, request)
      if (account?.username !== context.principal) throw denied('the account is not the one of the user')
      return await issueAccount(account, context, maxAge)
    },
    check: checkPasswords([...entries.values()]),
  }
}

function denied(message: string): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message)
}

function keyOf({ issuer, subject }: Identity, target: string): string {
  return JSON.stringify([issuer, subject, target])
}

/** Whose something is: it can belong to one person only. */
class Owners {
  readonly #owners = new Map<unknown, Identity & { readonly option: string }>()
  readonly #linked: (a: Identity, b: Identity) => boolean

  constructor(linked: (a: Identity, b: Identity) => boolean) {
    this.#linked = linked
  }

  /** @throws TypeError where it belongs to somebody else. */
  claim(what: unknown, who: Identity & { readonly option: string }, member: string): void {
    const owner = this.#owners.get(what)
    if (owner !== undefined && !this.#linked(owner, who))
      throw new TypeError(
        `"${who.option}.${member}" is the one of "${owner.option}", and no list of "links" says that both are one person`,
      )
    if (owner === undefined) this.#owners.set(what, who)
  }
}
