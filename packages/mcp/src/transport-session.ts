import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { DelegationError, type Session } from '@mcp-delegation/core'

/** Ids of transport sessions that only their own user can show again. Nothing is stored. */
export interface TransportSessions {
  /**
   * Makes new ids for this caller.
   * @throws DelegationError `ERR_SESSION_INVALID` where there is no caller.
   */
  generator(session: Session | undefined): () => string
  /** Whether `id` was made here for this caller: the same issuer, subject and client, whatever the token. */
  belongs(session: Session, id: string): boolean
}

const FORM = /^[\w-]{22}\.[\w-]{43}$/

/** The key lives as long as the process, like the transport sessions themselves. */
export function transportSessions(): TransportSessions {
  const key = randomBytes(32)
  const seal = ({ issuer, subject, clientId }: Session, id: string): Buffer =>
    createHmac('sha256', key)
      .update(JSON.stringify([id, issuer, subject, clientId]))
      .digest()
  return {
    generator(session) {
      if (session === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the request has no session')
      return () => {
        const id = randomBytes(16).toString('base64url')
        return `${id}.${seal(session, id).toString('base64url')}`
      }
    },
    belongs(session, id) {
      if (!FORM.test(id)) return false
      const [random = '', shown = ''] = id.split('.')
      return timingSafeEqual(Buffer.from(shown, 'base64url'), seal(session, random))
    },
  }
}
