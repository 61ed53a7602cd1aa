import { createHmac, randomBytes } from 'node:crypto'

/** Which logins vCenter has refused. */
export interface RefusedLogins {
  /** Whether this name was refused with this password not long ago. */
  has(username: string, password: string, now: number): boolean
  add(username: string, password: string, now: number): void
}

/** Three in the time in which vCenter locks an account after five wrong ones, as it does by default. */
const MAX_AGE = 60_000
const MAX = 10_000

/**
 * Remembers for a minute what vCenter refused, so that nobody's account is locked because one wrong password is tried
 * again and again. Another password is tried at once. Instants are milliseconds.
 */
export function refusedLogins(): RefusedLogins {
  const key = randomBytes(32)
  const digestOf = (password: string): string => createHmac('sha256', key).update(password).digest('base64')
  const refused = new Map<string, { readonly digest: string; readonly until: number }>()
  return {
    has(username, password, now) {
      const last = refused.get(username)
      return last !== undefined && now < last.until && last.digest === digestOf(password)
    },
    add(username, password, now) {
      refused.delete(username)
      if (refused.size >= MAX) refused.delete(refused.keys().next().value ?? '')
      refused.set(username, { digest: digestOf(password), until: now + MAX_AGE })
    },
  }
}
