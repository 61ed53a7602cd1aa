import { setMaxListeners } from 'node:events'
import { DelegationError, type DelegationModule, type Secret } from '@mcp-delegation/core'
import type { Engine } from './engine.ts'
import { failureOf } from './failure.ts'
import { issueCredential } from './issue-credential.ts'
import { namespaceProof } from './namespace.ts'
import { checkOptions, type Targets, type VaultMappingOptions } from './options.ts'
import { mayRevokeLeases, REVOKE, revocationPermission } from './revocation-permission.ts'
import { Revocations } from './revocations.ts'
import type { Source } from './sources/source.ts'
import { createSurroundings } from './surroundings.ts'
import { targetRequest, type VaultRequestOf } from './targets.ts'
import { ownTokens, type TokenOptions, type Tokens, userTokens } from './tokens.ts'
import { createVaultClient, type VaultClient } from './vault-client.ts'
import { VaultError } from './vault-error.ts'

/** What a source gives. */
type ValueOf<S> = S extends Source<infer Value> ? Value : never

/** How long the revocations of a whole module may take when it is disposed of, in milliseconds. */
const FAREWELL = 30_000
/** `sys/health` of a node that can serve requests, or has them served by another one. */
const SERVING: ReadonlySet<number | undefined> = new Set([429, 472, 473])

/**
 * Credentials of the session's user that HashiCorp Vault or OpenBao keeps or makes: each target has a source, as `kv2` or
 * `database`. Vault tokens belong to one token of one user with `jwtLogin`, and to this server with the other logins. Leases
 * are renewed while a live session is served with them, and revoked when the registry gives the credential back. Rejects
 * with `ERR_DELEGATION_NO_IDENTITY` where the mapping or Vault has no entry for the user, `ERR_DELEGATION_DENIED` for targets
 * and users that the options or Vault refuse, `ERR_DELEGATION_UNAVAILABLE` for an outage, `ERR_DELEGATION_PROTOCOL` where an
 * operator must act; where Vault was asked, the cause is a `VaultError`.
 * @throws TypeError naming the option that is wrong.
 */
export function vaultMapping<const T extends Targets>(
  options: VaultMappingOptions<T>,
): DelegationModule<VaultRequestOf<keyof T & string>, ValueOf<T[keyof T]>, VaultRequestOf<keyof T & string>> {
  const checked = checkOptions(options)
  const { login, mapping, targets, connections } = checked
  const surroundings = createSurroundings()
  const { clock, log } = surroundings
  const closed = new AbortController()
  // One for each request that is under way: none of them is a leak.
  setMaxListeners(0, closed.signal)
  const client = createVaultClient({ ...checked, clock })
  const revocations = new Revocations(surroundings)
  const underWay = new Set<Promise<unknown>>()
  const track = (work: Promise<unknown>): void => {
    const settled: Promise<unknown> = work.then(
      () => underWay.delete(settled),
      () => underWay.delete(settled),
    )
    underWay.add(settled)
  }
  const made: TokenOptions = {
    client,
    surroundings,
    revocations,
    signal: closed.signal,
    prove: namespaceProof(client, checked.namespace),
    track,
  }
  const leased = [...targets.values()].some((source) => source.leased)
  let tokens: Tokens
  let check: (signal: AbortSignal) => Promise<void>
  if (login.as === 'user') {
    tokens = userTokens(login, { max: checked.maxTokens, maxIdle: checked.maxTokenIdle }, made)
    check = async (signal) => {
      await made.prove(signal)
      await checkHealth(client, signal)
    }
  } else {
    const own = ownTokens(login, made)
    tokens = own
    check = async (signal) => {
      await checkHealth(client, signal)
      let held = await own.acquire(undefined, signal)
      try {
        if (await held.token.askWhetherDead()) {
          await held.end()
          held = await own.acquire(undefined, signal)
        }
        if (leased) await checkRevocation(client, held.token.secret, signal)
      } finally {
        await held.end()
      }
    }
  }
  const permission = revocationPermission(client, closed.signal)
  const engine: Engine = {
    clock,
    log,
    revocations,
    isPersonal: login.as === 'user',
    revokesLeases: (token) => permission.ask(token.secret),
    cannotRevokeLeases: (error) => {
      permission.deny()
      log.warn({ err: error }, 'the Vault token may not revoke leases any more: they end with their token')
    },
    send: (path, body, token, signal = closed.signal) =>
      client.request({ method: 'PUT', path, body, token: token.secret, retry: false }, { signal }),
  }
  const sourceOf = (target: string): Source<unknown> => {
    const source = targets.get(target)
    if (source === undefined) throw new DelegationError('ERR_DELEGATION_DENIED', 'the target is not allowed')
    return source
  }
  return {
    type: 'vault',
    request: targetRequest(),
    reuse: checked.reuse,
    maxAge: checked.maxAge,
    deadline: checked.deadline,
    maxConcurrent: connections,
    maxQueued: checked.maxQueued,
    target: ({ target }) => target,
    principal(session, { target }) {
      sourceOf(target)
      return mapping.principal(session)
    },
    linked: mapping.linked,
    async issue({ target }, context) {
      surroundings.use(context)
      try {
        const surrounding = { client, tokens, engine, signal: closed.signal, track }
        return (await issueCredential(sourceOf(target), context, surrounding)) as never
      } catch (error) {
        throw error instanceof VaultError ? failureOf(error, { target }) : error
      }
    },
    async check({ signal }) {
      try {
        await check(signal)
      } catch (error) {
        throw error instanceof VaultError ? failureOf(error, {}) : error
      }
    },
    async dispose() {
      const close = (): void => closed.abort(new DelegationError('ERR_DELEGATION_UNAVAILABLE', 'the module is closed'))
      revocations.defer()
      // What waits for a connection to a server that hangs is not sent any more.
      const farewell = setTimeout(close, FAREWELL)
      while (underWay.size > 0) await Promise.all(underWay)
      clearTimeout(farewell)
      await tokens.dispose()
      await revocations.drain(FAREWELL)
      close()
      await client.close()
    },
  }
}

/** Rejects unless this node can serve requests, or has them served by another one. */
async function checkHealth(client: VaultClient, signal: AbortSignal): Promise<void> {
  try {
    await client.request({ method: 'GET', path: 'sys/health', retry: true, root: true }, { signal })
  } catch (error) {
    if (!(error instanceof VaultError) || !SERVING.has(error.status)) throw error
  }
}

/** Rejects unless a token may revoke the leases that are made with it: it must outlive them, since it is everybody's. */
async function checkRevocation(client: VaultClient, token: Secret<string>, signal: AbortSignal): Promise<void> {
  if (await mayRevokeLeases(client, token, signal)) return
  throw new DelegationError(
    'ERR_DELEGATION_PROTOCOL',
    `the policy of this server's Vault token does not allow "update" on ${REVOKE}`,
  )
}
