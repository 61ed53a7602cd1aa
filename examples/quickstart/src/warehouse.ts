import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import { listenOnLoopback } from '@mcp-delegation/labs/story'

/** A backend as there are many: it knows user names and passwords, and nothing of OAuth. */
export interface Warehouse extends AsyncDisposable {
  readonly origin: string
  /** Whom it saw, one name per request that it answered. */
  readonly seen: readonly string[]
}

const STOCK: Readonly<Record<string, number>> = { bolts: 1200, nuts: 800 }

/** Starts the warehouse with its accounts: user name → password. */
export async function startWarehouse(accounts: Readonly<Record<string, string>>): Promise<Warehouse> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const username = authenticate(accounts, request.headers.authorization)
    if (username === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="warehouse"' }).end()
      return
    }
    seen.push(username)
    const item = decodeURIComponent((request.url ?? '').replace('/stock/', ''))
    const answer = { item, count: Object.hasOwn(STOCK, item) ? STOCK[item] : 0, seenAs: username }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  return {
    origin: await listenOnLoopback(server),
    seen,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function authenticate(accounts: Readonly<Record<string, string>>, header: string | undefined): string | undefined {
  const [scheme, value = ''] = (header ?? '').split(' ')
  const [username = '', ...password] = Buffer.from(value, 'base64').toString().split(':')
  if (scheme !== 'Basic' || !Object.hasOwn(accounts, username)) return undefined
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(password.join(':')), digest(accounts[username] ?? '')) ? username : undefined
}
