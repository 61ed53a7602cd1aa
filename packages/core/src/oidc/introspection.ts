import { type SecretReader, type SecretSource, secretReader } from '../secret-source.ts'
import { within } from '../within.ts'
import { boundedFetch, jsonOf } from './bounded-fetch.ts'
import type { Claims } from './claims.ts'
import type { IssuerMetadata } from './discovery.ts'
import { outage, refused } from './refusal.ts'

/** The client as which this server asks about opaque tokens. */
export interface IntrospectionOptions {
  readonly clientId: string
  /** Read again for each question, so that a rotated one is picked up. */
  readonly clientSecret: SecretSource
  /** How the client proves itself; default `client_secret_basic`. */
  readonly authentication?: 'client_secret_basic' | 'client_secret_post' | undefined
}

/** {@link IntrospectionOptions}, checked. */
export interface Introspection {
  readonly clientId: string
  readonly clientSecret: SecretReader
  readonly authentication: 'client_secret_basic' | 'client_secret_post'
}

/** @throws TypeError naming `option`. */
export function introspection(value: IntrospectionOptions | undefined, option: string): Introspection | undefined {
  if (value === undefined) return undefined
  const { clientId, clientSecret, authentication = 'client_secret_basic' } = value ?? {}
  if (typeof clientId !== 'string' || clientId === '') throw new TypeError(`"${option}.clientId" must be a text`)
  if (authentication !== 'client_secret_basic' && authentication !== 'client_secret_post')
    throw new TypeError(`"${option}.authentication" must be 'client_secret_basic' or 'client_secret_post'`)
  return { clientId, clientSecret: secretReader(clientSecret, `${option}.clientSecret`), authentication }
}

const isBearer = (type: unknown): boolean => typeof type === 'string' && type.toLowerCase() === 'bearer'

/** Refuses what is not proven to be of a bearer access token: an issuer may answer about any token that it issued. */
function checkProof({ token_type: type, token_use: use, typ, nonce }: Claims): void {
  if (type !== undefined && !isBearer(type)) throw refused('the token is not a bearer token')
  if (use !== undefined && use !== 'access_token' && use !== 'access')
    throw refused('"token_use" is not that of an access token')
  if (nonce !== undefined) throw refused('the answer has "nonce": it is of an ID token')
  if (type === undefined && use === undefined && !isBearer(typ))
    throw refused('the answer does not say that it is of an access token')
}

/**
 * Asks the issuer what a token is. The answer is that of an active access token, its `iss` and `sub` filled in where
 * the issuer leaves out what goes without saying; nothing in it is checked yet. Rejects with a refusal for a token that
 * is not active, with an outage where there is no answer, or where this server's own credentials are not accepted.
 * @see https://www.rfc-editor.org/rfc/rfc7662#section-2.2
 */
export async function introspect(
  token: string,
  issuer: string,
  { introspectionEndpoint, jwksUri }: IssuerMetadata,
  { clientId, clientSecret, authentication }: Introspection,
  { signal, timeout }: { readonly signal: AbortSignal; readonly timeout: number },
): Promise<Claims> {
  if (introspectionEndpoint === undefined) throw outage(`${issuer} names no "introspection_endpoint" to be trusted`)
  const answer = await within(timeout, signal, ask).catch((error: unknown) => {
    throw outage(`${introspectionEndpoint} gave no usable answer`, error)
  })
  if (answer['active'] !== true) throw refused('the issuer says that the token is not active')
  checkProof(answer)
  const { sub, client_id: client, iss = issuer } = answer
  // Without a resource owner there may be no subject: the client then stands for itself.
  return { ...answer, iss, sub: sub === undefined && typeof client === 'string' ? client : sub }

  async function ask(all: AbortSignal): Promise<Claims> {
    const proof = await clientSecret({ signal: all })
    const client = await import('openid-client')
    const method = authentication === 'client_secret_post' ? client.ClientSecretPost : client.ClientSecretBasic
    const metadata = { issuer, jwks_uri: jwksUri, introspection_endpoint: introspectionEndpoint ?? '' }
    const configuration = new client.Configuration(metadata, clientId, undefined, method(proof))
    // The endpoint was checked: plain HTTP is for this machine only.
    client.allowInsecureRequests(configuration)
    // The time limit is ours.
    configuration.timeout = 0
    configuration[client.customFetch] = async (url, { body, method, headers }) => {
      const asked = { method, headers, body: body as string | URLSearchParams, signal: all }
      const response = await boundedFetch(url, asked)
      if (response.status === 200) await jsonOf(response.clone())
      return response
    }
    return client.tokenIntrospection(configuration, token, { token_type_hint: 'access_token' })
  }
}
