import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** `failing` answers every order with an error, `babbling` with something that is no key. */
export type Mood = 'well' | 'failing' | 'babbling'

/** A depot on loopback: a real backend for the example module. */
export interface Depot extends AsyncDisposable {
  readonly url: string
  readonly operatorKey: string
  /** How many keys are valid now. */
  outstanding(): number
  /** Uses a key, and answers whom the depot saw. */
  whoami(key: string): Promise<string>
}

/** Starts a depot that has `accounts`. */
export async function startDepot(accounts: readonly string[], mood: Mood = 'well'): Promise<Depot> {
  const operatorKey = `operator-${randomUUID()}`
  const keys = new Map<string, { readonly key: string; readonly user: string }>()
  const withdrawn = new Set<string>()

  async function answer(request: IncomingMessage): Promise<readonly [number, object?]> {
    const { method, url = '', headers } = request
    const bearer = headers.authorization?.replace(/^Bearer /, '')
    if (url === '/whoami') {
      const user = [...keys.values()].find(({ key }) => key === bearer)?.user
      return user === undefined ? [401] : [200, { user }]
    }
    const id = /^\/keys\/([\w-]+)$/.exec(url)?.[1]
    if (bearer !== operatorKey || id === undefined) return [404]
    if (method === 'DELETE') {
      withdrawn.add(id)
      return [keys.delete(id) ? 204 : 404]
    }
    const { user } = JSON.parse(Buffer.concat(await request.toArray()).toString()) as { readonly user: string }
    await delay(5)
    if (mood === 'failing') return [503, { error: `cannot serve ${operatorKey}` }]
    if (!accounts.includes(user)) return [403]
    const key = `key-of-${user}-${randomUUID()}`
    if (!withdrawn.has(id)) keys.set(id, { key, user })
    await delay(5)
    if (mood === 'babbling') return [200, { id, key }]
    return [200, { id, key, expires: new Date(Date.now() + 600_000).toISOString() }]
  }

  const server = createServer((request, response) => {
    answer(request).then(
      ([status, body]) => response.writeHead(status).end(body === undefined ? undefined : JSON.stringify(body)),
      () => response.writeHead(500).end(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    operatorKey,
    outstanding: () => keys.size,
    async whoami(key) {
      const response = await fetch(new URL('/whoami', url), { headers: { authorization: `Bearer ${key}` } })
      return ((await response.json()) as { readonly user: string }).user
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
