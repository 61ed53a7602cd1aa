import { find } from './inventory.ts'
import { type Connection, instantOf, retrieveOne } from './properties.ts'
import { runTask } from './tasks.ts'
import { returned } from './transport.ts'
import type { CallOptions, EventEntry, SessionEntry, TaskOptions } from './types.ts'
import { all, tag, tags, textOf, type XmlElement } from './xml.ts'

/** Without an end: vCenter waits until all machines are off the host. */
const NO_TIMEOUT = tag('timeout', 0)
const [EVENTS, MOST_EVENTS] = [100, 1_000]

export async function enterMaintenance(to: Connection, wanted: string, options: TaskOptions): Promise<void> {
  const host = await find(to, 'HostSystem', wanted, options)
  await runTask(to, 'EnterMaintenanceMode_Task', host, [NO_TIMEOUT], options)
}

export async function exitMaintenance(to: Connection, wanted: string, options: TaskOptions): Promise<void> {
  const host = await find(to, 'HostSystem', wanted, options)
  await runTask(to, 'ExitMaintenanceMode_Task', host, [NO_TIMEOUT], options)
}

export async function listSessions(
  to: Connection,
  own: string,
  options: CallOptions,
): Promise<readonly SessionEntry[]> {
  const found = await retrieveOne(to, to.content.sessionManager, ['sessionList'], options)
  return all(found.properties.get('sessionList'), 'UserSession').map((session) => sessionOf(session, own))
}

export async function terminateSession(to: Connection, key: string, options: CallOptions): Promise<void> {
  await to.call('TerminateSession', to.content.sessionManager, [tag('sessionId', key)], options)
}

export async function listEvents(
  to: Connection,
  options: CallOptions & { readonly max?: number | undefined },
): Promise<readonly EventEntry[]> {
  const max = Math.min(Math.max(1, Math.trunc(options.max ?? EVENTS)), MOST_EVENTS)
  const filter = tag('filter', tags({ maxCount: MOST_EVENTS }))
  const found = returned(await to.call('QueryEvents', to.content.eventManager, [filter], options)).map((event) => ({
    id: Number(textOf(event, 'key')),
    type: event.attributes.get(':type')?.replace(/^.*:/, '') ?? 'Event',
    userName: textOf(event, 'userName') ?? '',
    at: instantOf(textOf(event, 'createdTime')),
    message: textOf(event, 'fullFormattedMessage') ?? '',
  }))
  return found.sort((a, b) => b.id - a.id).slice(0, max)
}

function sessionOf(session: XmlElement, own: string): SessionEntry {
  const key = textOf(session, 'key') ?? ''
  const entry = {
    userName: textOf(session, 'userName') ?? '',
    ipAddress: textOf(session, 'ipAddress'),
    userAgent: textOf(session, 'userAgent'),
    loginAt: instantOf(textOf(session, 'loginTime')),
    lastActiveAt: instantOf(textOf(session, 'lastActiveTime')),
    own: key === own,
  }
  return withKey(entry, key)
}

/** The same object with a key that does not show where it is printed or sent. */
export function withKey<T extends object>(entry: T, key: string): T & { readonly key: string } {
  return Object.defineProperty(entry, 'key', { value: key }) as T & { readonly key: string }
}
