import { readFileSync } from 'node:fs'
import { secret } from '@mcp-delegation/core'
import type { VaultLab } from '@mcp-delegation/labs/vault'
import type { SourceContext } from '../../src/sources/source.ts'
import { createVaultClient, type VaultClient } from '../../src/vault-client.ts'

/** Contexts of sources at a lab, without the module around them. */
export interface SourceContexts {
  /** Of a user with a token of the user's own, or with another one. */
  of(principal: string, token?: string): Promise<SourceContext>
  /** Logs in with a token of the identity provider. `undefined` where the server lets nobody of that name in. */
  logIn(subject: string): Promise<string | undefined>
  /** The leases that were made in all contexts, in order. */
  readonly leases: readonly string[]
  /** How many requests were sent in all contexts. */
  readonly sent: number
  close(): Promise<void>
}

/** @param lab where the user `alice` logs in as `sub` `alice`. */
export function sourceContexts(lab: VaultLab): SourceContexts {
  const clock = { now: () => Date.now() }
  const client: VaultClient = createVaultClient({
    addresses: [lab.address],
    namespace: undefined,
    ca: readFileSync(lab.ca, 'utf8'),
    serverName: undefined,
    timeout: 5_000,
    connections: 8,
    tries: 2,
    clock,
  })
  const signal = new AbortController().signal
  let sent = 0
  const leases: string[] = []
  const logIn = async (subject: string): Promise<string | undefined> => {
    const jwt = await lab.tokens.sign({ sub: subject })
    const { body } = await lab.request('POST', `auth/${lab.mounts.jwt}/login`, { role: 'user', jwt }, { token: '' })
    return (body as { auth?: { client_token: string } }).auth?.client_token
  }
  return {
    logIn,
    async of(principal, given) {
      const text = given ?? (await logIn(principal))
      if (text === undefined) throw new Error('the server does not let the user in')
      const token = secret(text)
      const request = { token }
      return {
        who: { principal, issuer: lab.tokens.issuer, subject: principal },
        clock,
        read(path, query) {
          sent++
          return client.request({ ...request, method: 'GET', path, query, retry: true }, { signal })
        },
        async make(path, body) {
          sent++
          const method = body === undefined ? 'GET' : 'POST'
          const answer = await client.request({ ...request, method, path, body, retry: false }, { signal })
          if (answer.leaseId !== '') leases.push(answer.leaseId)
          return answer
        },
      }
    },
    leases,
    get sent() {
      return sent
    },
    close: () => client.close(),
  }
}
