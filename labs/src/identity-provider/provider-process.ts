// The identity provider, in a process of its own. It takes any password for its users: it stands for yours, and is good
// for nothing else.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { errors, type JWK, Provider } from 'oidc-provider'
import { listenOnLoopback } from '../loopback.ts'
import type { IdentityProviderOptions } from './identity-provider.ts'

const { resource, scope, ...options } = JSON.parse(process.argv[2] ?? '') as IdentityProviderOptions
const users = { ...options.users }

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const server = createServer()
const issuer = await listenOnLoopback(server)
const provider = new Provider(issuer, {
  scopes: ['openid', 'offline_access', scope],
  jwks: { keys: [privateKey.export({ format: 'jwk' }) as JWK] },
  pkce: { required: () => true },
  clientBasedCORS: () => true,
  findAccount: (_, id) => (Object.hasOwn(users, id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
  extraTokenClaims: (_, token) => ('accountId' in token ? { ...users[token.accountId ?? ''] } : undefined),
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new errors.InvalidTarget()
        return { scope, audience: indicator, accessTokenFormat: 'jwt', accessTokenTTL: 600 }
      },
    },
  },
})
server.on('request', provider.callback())

process.on('disconnect', () => process.exit())
process.on('message', ({ user, claims }: { user: string; claims: Readonly<Record<string, unknown>> }) => {
  users[user] = claims
  process.send?.({})
})
process.send?.({ issuer })
