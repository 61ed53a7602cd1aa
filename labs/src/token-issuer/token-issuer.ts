import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { listenOnLoopback } from '../loopback.ts'

/** What {@link tokenIssuer} takes. */
export interface TokenIssuerOptions {
  /** With what it signs. Default: `RS256`. */
  readonly algorithm?: 'RS256' | 'ES256' | undefined
  /** The `aud` of tokens that name none. Default: `https://mcp.example.com/mcp`. */
  readonly audience?: string | undefined
}

/** How the key set is answered: as it should be, never, or with 500. */
export type KeySetMode = 'answers' | 'hangs' | 'fails'

/** An issuer of access tokens: discovery and keys over HTTP, tokens by a function. */
export interface TokenIssuer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, also the issuer's URL for discovery. */
  readonly issuer: string
  readonly jwksUri: string
  readonly audience: string
  /** How often the key set was asked for since the start, whatever the answer. */
  readonly keyRequests: number
  /**
   * Signs an access token (`typ` `at+jwt`). Defaults: `sub` `alice`, no `groups`, `aud` {@link audience}, `client_id`
   * `lab`, `iat` now, `exp` in ten minutes, a random `jti`. A claim that is `undefined` is left out.
   */
  sign(claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** As {@link sign}, with a key that is not in the key set, but has the `kid` of the one that is. */
  forge(claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** Signs with a new key from now on. Tokens of the old one are good until `retire` takes it from the key set. */
  rotate(options?: { readonly retire?: boolean | undefined }): Promise<void>
  /** How the key set is answered from now on. Requests that hang are answered when it no longer hangs. */
  keySet(mode: KeySetMode): void
  /** Closes the port: connections are refused. */
  down(): Promise<void>
  /** Opens it again. */
  up(): Promise<void>
}

interface SigningKey {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly jwk: JWK
}

/** An issuer on a free port of this machine. It runs in this process until it is disposed of. */
export async function tokenIssuer(options: TokenIssuerOptions = {}): Promise<TokenIssuer> {
  const { algorithm = 'RS256', audience = 'https://mcp.example.com/mcp' } = options
  let current = await signingKey(algorithm)
  let impostor: Promise<SigningKey> | undefined
  let keys = [current.jwk]
  let mode: KeySetMode = 'answers'
  let keyRequests = 0
  let waiting: (() => void)[] = []

  const server = createServer((request, response) => {
    // No client is left with a connection that dies when the port is closed.
    response.setHeader('connection', 'close')
    const answer = (body: object): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const answerKeys = (): void => {
      if (mode === 'hangs') waiting.push(answerKeys)
      else if (mode === 'fails') response.writeHead(500).end()
      else answer({ keys })
    }
    if (request.url === '/.well-known/openid-configuration') return answer(discovery(issuer, algorithm))
    if (request.url !== '/jwks') return response.writeHead(404).end()
    keyRequests++
    answerKeys()
  })
  const issuer = await listenOnLoopback(server)

  const signWith = ({ privateKey }: SigningKey, claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const now = Math.floor(Date.now() / 1_000)
    const defaults = {
      sub: 'alice',
      groups: [],
      aud: audience,
      client_id: 'lab',
      iat: now,
      exp: now + 600,
      jti: randomUUID(),
    }
    return new SignJWT({ iss: issuer, ...defaults, ...claims })
      .setProtectedHeader({ alg: algorithm, kid: current.kid, typ: 'at+jwt' })
      .sign(privateKey)
  }
  const down = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    audience,
    get keyRequests() {
      return keyRequests
    },
    sign: (claims = {}) => signWith(current, claims),
    forge: async (claims = {}) => {
      impostor ??= signingKey(algorithm)
      return signWith(await impostor, claims)
    },
    rotate: async ({ retire = false } = {}) => {
      current = await signingKey(algorithm)
      keys = retire ? [current.jwk] : [...keys, current.jwk]
    },
    keySet: (next) => {
      mode = next
      const held = waiting
      waiting = []
      for (const answerNow of held) answerNow()
    },
    down,
    up: async () => {
      if (server.listening) return
      server.listen(Number(new URL(issuer).port), '127.0.0.1')
      await once(server, 'listening')
    },
    [Symbol.asyncDispose]: down,
  }
}

async function signingKey(algorithm: 'RS256' | 'ES256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const kid = randomUUID()
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' } }
}

function discovery(issuer: string, algorithm: string): object {
  return {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [algorithm],
  }
}
