// The identity provider, in a process of its own. It believes everybody who claims to be one of its users and asks for
// no password: it stands for yours, and is good for nothing else.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { errors, Provider } from 'oidc-provider'
import { listenOnLoopback } from './loopback.ts'

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  alice: ['warehouse-staff'],
  bob: ['warehouse-readers'],
  carol: ['marketing'],
}
const [resource, scope] = process.argv.slice(2)

const server = createServer()
const issuer = await listenOnLoopback(server)
const provider = new Provider(issuer, {
  scopes: ['openid', 'offline_access', ...(scope === undefined ? [] : [scope])],
  jwks: { keys: [generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as never] },
  pkce: { required: () => true },
  clientBasedCORS: () => true,
  findAccount: (_, id) => (Object.hasOwn(GROUPS, id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
  extraTokenClaims: (_, token) => ('accountId' in token ? { groups: GROUPS[token.accountId ?? ''] } : undefined),
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource ?? [],
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new errors.InvalidTarget()
        return { scope: scope ?? '', audience: indicator, accessTokenFormat: 'jwt', accessTokenTTL: 600 }
      },
    },
  },
})
server.on('request', provider.callback())

process.on('disconnect', () => process.exit())
process.send?.({ issuer })
