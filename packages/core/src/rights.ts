import { isArea } from './checks.ts'
import type { Area } from './permission-options.ts'
import type { IssuerRules, PermissionRules } from './permission-rules.ts'
import { keyOf, type SessionSnapshot } from './session.ts'

/** A level by its rank, where it holds, and the groups and roles that grant it. */
export interface RankedGrant {
  readonly rank: number
  readonly area: Area
  readonly from: readonly string[]
}

/** What a session may do: computed once, since its groups can't change. */
export interface Rights {
  /** Whether all that the session has is known. Where it is not, it has nothing. */
  readonly complete: boolean
  readonly scopes: ReadonlySet<string>
  /** The highest rank in the whole, and in any area; -1 for none. */
  readonly whole: number
  readonly anywhere: number
  /** By area. */
  readonly grants: ReadonlyMap<string, RankedGrant>
  readonly ignored: readonly { readonly name: string; readonly reason: string }[]
}

/** The area of all areas. */
export const WHOLE: Area = Object.freeze([])

/** What the groups and roles of a session grant. */
export function rightsOf({ ranks, issuers }: PermissionRules, { session }: SessionSnapshot): Rights {
  const { groupsComplete: complete } = session
  const issuer = complete ? issuers.get(session.issuer) : undefined
  const grants = new Map<string, { rank: number; area: Area; from: string[] }>()
  const ignored: { readonly name: string; readonly reason: string }[] = []
  let anywhere = -1
  const note = (name: string, meaning: { rank: number; area: Area } | string): void => {
    if (typeof meaning === 'string') {
      ignored.push({ name, reason: meaning })
      return
    }
    const { rank, area } = meaning
    anywhere = Math.max(anywhere, rank)
    const key = keyOf(...area)
    const known = grants.get(key)
    if (known === undefined || known.rank < rank) grants.set(key, { rank, area, from: [name] })
    else if (known.rank === rank && !known.from.includes(name)) known.from.push(name)
  }
  if (complete) {
    for (const group of session.groups) note(group, groupMeaning(issuer, group, ranks))
    for (const role of session.roles) note(role, roleMeaning(issuer, role))
  }
  return {
    complete,
    scopes: session.scopes,
    whole: grants.get(keyOf())?.rank ?? -1,
    anywhere,
    grants,
    ignored,
  }
}

type Meaning = { readonly rank: number; readonly area: Area } | string

function groupMeaning(issuer: IssuerRules | undefined, group: string, ranks: PermissionRules['ranks']): Meaning {
  if (issuer === undefined) return 'the groups of this issuer grant nothing'
  const rank = issuer.groups.get(group)
  if (rank !== undefined) return { rank, area: WHOLE }
  if (issuer.grammar === undefined) return 'the group grants nothing'
  return readingOf(issuer.grammar, group, ranks)
}

/** A grammar may be anybody's: what is malformed grants nothing. */
function readingOf(
  grammar: NonNullable<IssuerRules['grammar']>,
  group: string,
  ranks: PermissionRules['ranks'],
): Meaning {
  try {
    const { grant, ignored } = grammar.read(group)
    if (grant === undefined) return String(ignored)
    const rank = ranks.get(grant.level)
    if (rank !== undefined && isArea(grant.area)) return { rank, area: Object.freeze([...grant.area]) }
  } catch {}
  return 'the grammar failed'
}

function roleMeaning(issuer: IssuerRules | undefined, role: string): Meaning {
  if (issuer === undefined) return 'the roles of this issuer grant nothing'
  const rank = issuer.roles.get(role)
  return rank === undefined ? 'the role grants nothing' : { rank, area: WHOLE }
}

/** The highest rank that holds in `area`: there, or in what it is inside of; -1 for none. */
export function rankIn({ grants, whole }: Rights, area: Area): number {
  let rank = whole
  for (let depth = 1; depth <= area.length; depth++)
    rank = Math.max(rank, grants.get(keyOf(...area.slice(0, depth)))?.rank ?? -1)
  return rank
}
