import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type SessionEntry, VcenterError } from '../vcenter/index.ts'
import { eventShape, sessionShape } from './shapes.ts'
import { CHANGES, DESTROYS, READS, type Tool, tool } from './tool.ts'
import { eventLine, lines } from './words.ts'

const subject = z.string().min(1).max(255).describe('Who: the subject (sub) at the identity provider')

/** A name for a session that gives nobody a way into it: its key would, at some servers. */
function nameOf({ key }: SessionEntry): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 12)
}

/** What only those may do who look after everything. */
export const administer: readonly Tool[] = [
  tool('list_recent_events', {
    title: "Read vCenter's event log",
    description: "Lists the latest entries of vCenter's event log, newest first: what was done, when, and by whom.",
    input: z.object({ max: z.number().int().min(1).max(1000).describe('How many').default(50) }),
    output: z.object({ events: z.array(eventShape) }),
    annotations: READS,
    async run({ max }, { vcenter }) {
      const events = await vcenter((session, options) => session.listEvents({ ...options, max }))
      return { text: lines(events, eventLine, 'The event log is empty.'), data: { events } }
    },
  }),
  tool('list_sessions', {
    title: 'List sessions at vCenter',
    description: 'Lists who is logged in at vCenter, from where and since when. terminate_session ends one.',
    input: z.object({}),
    output: z.object({ sessions: z.array(sessionShape) }),
    annotations: READS,
    async run(_, { vcenter }) {
      const all = await vcenter((session, options) => session.listSessions(options))
      const sessions = all.map((entry) => ({ session: nameOf(entry), ...entry }))
      const line = ({ session, userName, ipAddress, loginAt, own }: (typeof sessions)[number]): string =>
        `${session} ${userName} from ${ipAddress ?? '?'} since ${loginAt?.toISOString() ?? '?'}${own ? ' (own)' : ''}`
      return { text: lines(sessions, line, 'Nobody is logged in.'), data: { sessions } }
    },
  }),
  tool('terminate_session', {
    title: 'End a session at vCenter',
    description:
      'Ends one session at vCenter. Its user may log in again at once: block_user is what keeps somebody out of this server.',
    input: z.object({
      session: z
        .string()
        .regex(/^[0-9a-f]{12}$/)
        .describe('What list_sessions calls it'),
    }),
    output: z.object({ session: z.string(), userName: z.string() }),
    annotations: DESTROYS,
    async run({ session: wanted }, { vcenter }) {
      const userName = await vcenter(async (session, options) => {
        const found = (await session.listSessions(options)).find((entry) => nameOf(entry) === wanted)
        if (found === undefined) throw new VcenterError('ERR_VCENTER_NOT_FOUND', 'there is no such session')
        await session.terminateSession(found.key, options)
        return found.userName
      })
      return { text: `The session of ${userName} is ended.`, data: { session: wanted, userName } }
    },
  }),
  tool('block_user', {
    title: 'Block a user',
    description:
      'Refuses a user from now on, whatever token they bring, and ends their sessions at vCenter that this server has opened. Lasts until unblock_user, or until the server restarts.',
    input: z.object({ subject }),
    output: z.object({ subject: z.string(), sessions: z.number() }),
    annotations: DESTROYS,
    async run({ subject: wanted }, { desk: { registry, issuer } }) {
      const { credentials } = await registry.block({ issuer, subject: wanted })
      return {
        text: `${wanted} is blocked; sessions at vCenter that were ended: ${credentials}.`,
        data: { subject: wanted, sessions: credentials },
      }
    },
  }),
  tool('unblock_user', {
    title: 'Unblock a user',
    description: 'Lifts what block_user did.',
    input: z.object({ subject }),
    output: z.object({ subject: z.string() }),
    annotations: CHANGES,
    async run({ subject: wanted }, { desk: { registry, issuer } }) {
      await registry.unblock({ issuer, subject: wanted })
      return { text: `${wanted} is blocked no more.`, data: { subject: wanted } }
    },
  }),
]
