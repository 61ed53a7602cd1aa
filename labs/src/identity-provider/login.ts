import { randomUUID } from 'node:crypto'
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client'

const REDIRECT_URL = 'http://127.0.0.1/callback'

/** An MCP client that has logged in as `user`: authorization code with PKCE, and a program in the browser's place. */
export async function connectAs(user: string, url: URL): Promise<Client> {
  const browser: { callback?: URLSearchParams } = {}
  const authProvider = memoryAuthProvider(async (authorizationUrl) => {
    browser.callback = await logIn(user, authorizationUrl)
  })
  const client = new Client({ name: 'demo', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  const transport = new StreamableHTTPClientTransport(url, { authProvider })
  try {
    await client.connect(transport)
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || browser.callback === undefined) throw error
    await transport.finishAuth(browser.callback)
    await client.connect(new StreamableHTTPClientTransport(url, { authProvider }))
  }
  return client
}

/** What the SDK wants to remember between the steps of a login, and how it opens the browser. */
function memoryAuthProvider(open: (url: URL) => Promise<void>): OAuthClientProvider {
  const memory: {
    client?: Awaited<ReturnType<OAuthClientProvider['clientInformation']>>
    tokens?: Awaited<ReturnType<OAuthClientProvider['tokens']>>
    discovery?: Awaited<ReturnType<NonNullable<OAuthClientProvider['discoveryState']>>>
    verifier?: string
  } = {}
  return {
    redirectUrl: REDIRECT_URL,
    clientMetadata: {
      client_name: 'demo',
      application_type: 'native',
      redirect_uris: [REDIRECT_URL],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    state: () => randomUUID(),
    clientInformation: () => memory.client,
    saveClientInformation: (client) => {
      memory.client = client
    },
    tokens: () => memory.tokens,
    saveTokens: (tokens) => {
      memory.tokens = tokens
    },
    discoveryState: () => memory.discovery,
    saveDiscoveryState: (discovery) => {
      memory.discovery = discovery
    },
    codeVerifier: () => memory.verifier ?? '',
    saveCodeVerifier: (verifier) => {
      memory.verifier = verifier
    },
    redirectToAuthorization: open,
  }
}

/** Fills in the provider's forms as `user`, and returns the parameters that the callback is called with. */
async function logIn(user: string, authorizationUrl: URL): Promise<URLSearchParams> {
  const cookies = new Map<string, string>()
  const visit = async (url: URL, form?: URLSearchParams): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const post = form === undefined ? {} : { method: 'POST', body: form }
    const response = await fetch(url, { redirect: 'manual', headers: { cookie }, ...post })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (name !== undefined && value !== undefined) cookies.set(name, value)
    }
    return response
  }
  let url = authorizationUrl
  for (let steps = 0; steps < 12; steps++) {
    let response = await visit(url)
    if (response.status === 200) {
      const [, prompt] = /name="prompt" value="(\w+)"/.exec(await response.text()) ?? []
      response = await visit(url, new URLSearchParams({ prompt: prompt ?? '', login: user, password: 'any' }))
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`the identity provider answered ${response.status} at ${url.pathname}`)
    url = new URL(location, url)
    if (url.href.startsWith(`${REDIRECT_URL}?`)) {
      if (url.searchParams.get('state') !== authorizationUrl.searchParams.get('state'))
        throw new Error('the callback belongs to another login')
      return url.searchParams
    }
  }
  throw new Error('the login goes round in circles')
}
