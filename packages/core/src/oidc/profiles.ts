import type { IssuerProfile } from './issuer-profile.ts'

const noNonce = { claim: 'nonce', is: null } as const

/**
 * RFC 9068, as issuers of `at+jwt` tokens follow it. A person is told from a machine by `sub`, which names the client
 * where nobody logged in; an issuer that gives machines another `sub` needs a profile with a better proof.
 * @see https://www.rfc-editor.org/rfc/rfc9068#section-2.2
 */
const rfc9068: IssuerProfile = {
  types: ['at+jwt'],
  accessToken: [noNonce],
  clientId: ['client_id'],
  scopes: ['scope', 'scp'],
  groups: ['groups'],
  roles: ['roles'],
  user: [{ claim: 'client_id', present: true }],
}

/**
 * Keycloak. Its tokens say in a claim `typ` what they are. Tokens of the client credentials grant have no `sid`, or
 * that of a service account, which `preferred_username` tells: the `profile` scope must be granted. Groups need a
 * group membership mapper.
 * @see https://www.keycloak.org/docs/latest/server_admin/#_service_accounts
 */
const keycloak: IssuerProfile = {
  types: ['jwt', 'at+jwt'],
  accessToken: [{ claim: 'typ', is: ['Bearer', 'bearer'] }],
  clientId: ['azp', 'client_id'],
  scopes: ['scope'],
  groups: ['groups'],
  roles: [['realm_access', 'roles']],
  user: [
    { claim: 'sid', present: true },
    { claim: 'preferred_username', present: true },
  ],
}

/**
 * Microsoft Entra ID, v2.0 and v1.0 tokens of one tenant. ID tokens name no client; only tokens of users have `scp`.
 * For more groups than fit, a token refers to where they are, or says only that there are some.
 * @see https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference
 */
const entra: IssuerProfile = {
  types: ['jwt', 'at+jwt'],
  accessToken: [noNonce],
  clientId: ['azp', 'appid'],
  scopes: ['scp'],
  groups: ['groups'],
  groupsIncomplete: [
    { claim: ['_claim_names', 'groups'], exists: true },
    { claim: 'groups:src1', exists: true },
    { claim: 'hasgroups', exists: true },
  ],
  roles: ['roles'],
  user: [{ claim: 'scp', present: true }],
}

/**
 * Auth0, both token profiles. ID tokens name no client; the user ids of every connection hold a bar (`auth0|…`).
 * Permissions are taken for roles. Groups need a claim of one's own.
 * @see https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
 */
const auth0: IssuerProfile = {
  types: ['jwt', 'at+jwt'],
  accessToken: [noNonce],
  clientId: ['azp', 'client_id'],
  scopes: ['scope'],
  groups: [],
  roles: ['permissions'],
  user: [{ claim: 'sub', contains: '|' }],
}

/**
 * Okta, custom authorization servers: the tokens of the org authorization server are for Okta itself. The header may
 * have no `typ`; ID tokens have no `cid`; only tokens of users have `uid`.
 * @see https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview
 */
const okta: IssuerProfile = {
  types: [null, 'jwt', 'at+jwt'],
  accessToken: [{ claim: 'cid', present: true }, noNonce],
  clientId: ['cid'],
  scopes: ['scp'],
  groups: ['groups'],
  roles: ['roles'],
  user: [{ claim: 'uid', present: true }],
}

/**
 * authentik. An access token is its ID token, nonce included, with `azp` and `uid` added; only tokens of a login have
 * `sid`. The audience of both is the client.
 * @see https://docs.goauthentik.io/add-secure-apps/providers/oauth2/
 */
const authentik: IssuerProfile = {
  types: ['jwt', 'at+jwt'],
  accessToken: [
    { claim: 'azp', present: true },
    { claim: 'uid', present: true },
  ],
  clientId: ['azp', 'client_id'],
  scopes: ['scope'],
  groups: ['groups'],
  roles: ['roles'],
  user: [{ claim: 'sid', present: true }],
}

interface Profiles {
  readonly rfc9068: IssuerProfile
  readonly keycloak: IssuerProfile
  readonly entra: IssuerProfile
  readonly auth0: IssuerProfile
  readonly okta: IssuerProfile
  readonly authentik: IssuerProfile
}

function frozen<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) frozen(member)
  return Object.freeze(value)
}

/** The profiles that have a name. Spread one to make a stricter one. */
export const issuerProfiles: Profiles = frozen({ rfc9068, keycloak, entra, auth0, okta, authentik })

/** The make of an identity provider that has a profile here. */
export type IssuerProfileName = keyof Profiles
