import {
  type AuditRecord,
  DelegationError,
  DelegationRegistry,
  type RegistryOptions,
  type Session,
} from '@mcp-delegation/core'
import { fakeModule, memoryAudit, testSession } from '@mcp-delegation/core/testing'
import type { ProtectOptions } from '../src/options.ts'

export const RESOURCE = 'https://mcp.example/mcp'
export const METADATA = 'https://mcp.example/.well-known/oauth-protected-resource/mcp'

/** The one module of the tests: it issues the subject's name. */
const modules = { names: fakeModule((session: Session) => ({ kind: 'name', name: session.subject })) }
export type Modules = typeof modules

/** A verifier that knows its tokens by heart; what is not a session is thrown. */
export function verifierOf(answers: Readonly<Record<string, Session | Error>>): ProtectOptions<Modules>['verifier'] {
  return {
    issuers: ['https://idp.example'],
    async verify(token) {
      const answer = Object.hasOwn(answers, token) ? answers[token] : undefined
      if (answer === undefined) throw new DelegationError('ERR_SESSION_INVALID', 'the token is not valid')
      if (answer instanceof Error) throw answer
      return answer
    },
  }
}

export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

export function memoryLog(): { readonly entries: Logged[] } & NonNullable<ProtectOptions<Modules>['log']> {
  const entries: Logged[] = []
  const at = (level: Logged['level']) => (fields: object, message: string) => {
    entries.push({ level, fields: { ...fields }, message })
  }
  return { entries, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export interface World {
  readonly options: ProtectOptions<Modules>
  readonly registry: DelegationRegistry<Modules>
  readonly records: readonly AuditRecord[]
  readonly log: ReturnType<typeof memoryLog>
}

/** Options for `protectMcp` on a registry in memory; `alice` and `bob` are tokens of theirs. */
export function world(
  options: Partial<ProtectOptions<Modules>> = {},
  registryOptions: Partial<RegistryOptions<Modules>> = {},
): World {
  const audit = memoryAudit()
  const log = memoryLog()
  const registry = new DelegationRegistry<Modules>({ modules, audit, policy: 'backend-decides', ...registryOptions })
  const verifier = verifierOf({ alice: testSession({ subject: 'alice' }), bob: testSession({ subject: 'bob' }) })
  return { options: { resource: RESOURCE, verifier, registry, log, ...options }, registry, records: audit.records, log }
}
