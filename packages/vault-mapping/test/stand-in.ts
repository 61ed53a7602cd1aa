import type { Logger } from '@mcp-delegation/core'
import { secret } from '@mcp-delegation/core'
import type { VaultAuth, VaultEnvelope } from '../src/envelope.ts'
import type { Surroundings } from '../src/surroundings.ts'
import type { VaultClient, VaultRequest } from '../src/vault-client.ts'
import { VaultError } from '../src/vault-error.ts'

/** What a stand-in server does with a request. */
export type Reply = (request: VaultRequest, signal: AbortSignal) => Promise<Partial<VaultEnvelope>>

/** A client whose server is a function, for what a real one can't be made to do at a chosen moment. */
export function standInClient(reply: Reply): VaultClient & { readonly requests: VaultRequest[] } {
  const requests: VaultRequest[] = []
  return {
    requests,
    async request(request, { signal }) {
      signal.throwIfAborted()
      requests.push(request)
      return envelope(await reply(request, signal))
    },
    present: () => {},
    close: async () => {},
  }
}

/** An answer without data, in which `members` stand. */
export function envelope(members: Partial<VaultEnvelope> = {}): VaultEnvelope {
  return {
    sentAt: Date.now(),
    leaseId: '',
    renewable: false,
    leaseDuration: 0,
    data: undefined,
    auth: undefined,
    warnings: [],
    ...members,
  }
}

/** What a login answers with: a token that lives for `lifetime` milliseconds. */
export function auth(lifetime: number, members: Partial<VaultAuth> = {}): VaultAuth {
  return {
    token: secret(`token-${Math.random()}`),
    accessor: undefined,
    expiresAt: Date.now() + lifetime,
    renewable: true,
    uses: 0,
    policies: ['user'],
    batch: false,
    ...members,
  }
}

/** A refusal with an HTTP status. */
export function refusal(status: number): VaultError {
  return new VaultError('status', `status ${status}`, { status, uncertain: status >= 500 })
}

/** The machine's clock, which fake timers move, and a log that keeps what it is told. */
export function testSurroundings(): Surroundings & { readonly lines: { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = []
  const to = (level: keyof Logger) => (_fields: object, message: string) => void lines.push({ level, message })
  return {
    lines,
    clock: { now: () => Date.now() },
    log: { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') },
    use: () => {},
  }
}
