import type { IssuerProfileName } from '../../src/oidc/index.ts'

/** Header and claims as a vendor documents them; `iss`, `aud` and the times are put in when one is signed. */
export interface VendorToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

export interface VendorTokens {
  readonly user: VendorToken
  readonly machine: VendorToken
  readonly id: VendorToken
}

const jwt = { typ: 'JWT' }
const atJwt = { typ: 'at+jwt' }
const none = { typ: undefined }

/** One user's access token, one machine's, and one ID token for each make of identity provider. */
export const VENDOR_TOKENS: Readonly<Record<IssuerProfileName, VendorTokens>> = {
  rfc9068: {
    user: {
      header: atJwt,
      claims: {
        sub: '5ba552d67',
        client_id: 's6BhdRkqt3',
        scope: 'openid profile reademail',
        jti: 'dbe39bf3a3ba4238a513f51d6e1691c4',
        auth_time: 1_639_528_912,
        groups: ['staff', 'finance'],
        roles: ['auditor'],
      },
    },
    machine: { header: atJwt, claims: { sub: 's6BhdRkqt3', client_id: 's6BhdRkqt3', scope: 'reports', jti: 'j1' } },
    id: { header: jwt, claims: { sub: '5ba552d67', nonce: 'n-0S6_WzA2Mj', auth_time: 1_639_528_912 } },
  },
  keycloak: {
    user: {
      header: jwt,
      claims: {
        jti: 'onrtac:1f1a8ac6-2a5d-41f0-b1a4-6a2a2d7b6f0e',
        sub: 'f6d7f7b5-7f6b-4a4e-9d5c-3f6f6c0b7a11',
        typ: 'Bearer',
        azp: 'mcp-client',
        sid: '6f9d5f8c-3f0b-4b52-8c55-0d0e0c1d2e3f',
        acr: '1',
        'allowed-origins': ['http://localhost:6274'],
        realm_access: { roles: ['offline_access', 'billing-reader'] },
        resource_access: { account: { roles: ['manage-account'] } },
        scope: 'openid profile email',
        email_verified: true,
        preferred_username: 'alice',
        email: 'alice@corp.example',
        groups: ['/staff', '/staff/finance'],
      },
    },
    machine: {
      header: jwt,
      claims: {
        jti: 'trrtcc:0b5d1c3e-58f4-4a62-9a4f-1d4b6c1f7a22',
        sub: 'b9d7c9c1-0a4b-4a7b-8f5e-4c2c9a8f1b33',
        typ: 'Bearer',
        azp: 'reporting',
        acr: '1',
        realm_access: { roles: ['offline_access'] },
        scope: 'profile email',
        clientHost: '10.0.0.7',
        clientAddress: '10.0.0.7',
        client_id: 'reporting',
        preferred_username: 'service-account-reporting',
      },
    },
    id: {
      header: jwt,
      claims: {
        jti: '3c9d4b1e-7b1f-4b0d-a0a4-2a1b6e0c7d44',
        sub: 'f6d7f7b5-7f6b-4a4e-9d5c-3f6f6c0b7a11',
        typ: 'ID',
        azp: 'mcp-client',
        sid: '6f9d5f8c-3f0b-4b52-8c55-0d0e0c1d2e3f',
        acr: '1',
        preferred_username: 'alice',
        email: 'alice@corp.example',
      },
    },
  },
  entra: {
    user: {
      header: jwt,
      claims: {
        aio: 'AXQAi/8IAAAAFm+E/QTG+gFnVxLjWdw8K+61AGrSOuMMF6ebaMj7XO3IbmD3fGmrOyD+NvZyGn2VaT',
        azp: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
        azpacr: '0',
        groups: ['8f9d1e2c-0b1a-4c3d-9e8f-7a6b5c4d3e2f'],
        name: 'Abe Lincoln',
        oid: '690222be-ff1a-4d56-abd1-7e4f7d38e474',
        preferred_username: 'abeli@microsoft.com',
        rh: 'I',
        roles: ['Invoices.Read'],
        scp: 'access_as_user invoices.read',
        sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
        tid: '72f988bf-86f1-41af-91ab-2d7cd011db47',
        uti: 'fqiBqXLPj0eQa82S-IYFAA',
        ver: '2.0',
      },
    },
    machine: {
      header: jwt,
      claims: {
        aio: 'E2ZgYLh1abHAkpeHvuz/fjX9QMNZDgA=',
        azp: '1cd3ba7c-5c1e-4a5f-9a2d-9a1f0b3c4d5e',
        azpacr: '1',
        oid: 'c1a2b3d4-0000-4e5f-8a9b-0c1d2e3f4a5b',
        rh: 'I',
        roles: ['Invoices.Read.All'],
        sub: 'c1a2b3d4-0000-4e5f-8a9b-0c1d2e3f4a5b',
        tid: '72f988bf-86f1-41af-91ab-2d7cd011db47',
        uti: 'AbCdEfGhIjKlMnOpQrStAA',
        ver: '2.0',
      },
    },
    id: {
      header: jwt,
      claims: {
        aio: 'Df2UVXL1ix!lMCWMSOJBcFatzcGfvFGhjKv8q5g0x732dR5MB5BisvGQO7YWByjd8iQDLq!eGbIDakyp5mnOrcdqHeYSnltepQmRp6AIZ8jY',
        name: 'Abe Lincoln',
        oid: '00000000-0000-0000-66f3-3332eca7ea81',
        preferred_username: 'AbeLi@microsoft.com',
        sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
        tid: '72f988bf-86f1-41af-91ab-2d7cd011db47',
        ver: '2.0',
      },
    },
  },
  auth0: {
    user: {
      header: jwt,
      claims: {
        sub: 'auth0|6553da60a54af58e29493993',
        azp: 'K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja',
        scope: 'openid profile read:invoices',
        permissions: ['read:invoices'],
        'https://corp.example/groups': ['staff'],
      },
    },
    machine: {
      header: jwt,
      claims: {
        sub: 'awZfdIir8YFdGZWkvCejDoUb7SjTDicx@clients',
        azp: 'awZfdIir8YFdGZWkvCejDoUb7SjTDicx',
        scope: 'read:invoices',
        gty: 'client-credentials',
      },
    },
    id: {
      header: jwt,
      claims: {
        sub: 'auth0|6553da60a54af58e29493993',
        name: 'Jane Doe',
        email: 'jane@corp.example',
        sid: 'w0mLPLbnXWSuKKGx1fWGjsmcXgDPmVnZ',
      },
    },
  },
  okta: {
    user: {
      header: none,
      claims: {
        ver: 1,
        jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
        sub: 'joe.user@corp.example',
        cid: 'nmdP1fcyvdVO11AL7ECm',
        uid: '00ujmkLgagxeRrAg20g3',
        scp: ['openid', 'invoices.read'],
        auth_time: 1_467_145_094,
        groups: ['Everyone', 'finance'],
      },
    },
    machine: {
      header: none,
      claims: {
        ver: 1,
        jti: 'AT.8vK0oL3xYb0Vq8Q0c0g3eJYhYF1bYb8m4nY1c5Yb0Ck',
        cid: '0oa1vwzx1Abcdefg0h8',
        sub: '0oa1vwzx1Abcdefg0h8',
        scp: ['invoices.read'],
      },
    },
    id: {
      header: none,
      claims: {
        ver: 1,
        jti: 'ID.4eAWJOCMB3SX8XewDfVR',
        sub: '00ujmkLgagxeRrAg20g3',
        amr: ['pwd'],
        idp: '00o1a2b3c4D5e6F7g8h9',
        preferred_username: 'joe.user@corp.example',
        auth_time: 1_467_145_094,
      },
    },
  },
  authentik: {
    user: {
      header: jwt,
      claims: {
        sub: '3d6d9b1c5c2f5f4a7f0e7c1b1b2a8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b',
        auth_time: 1_700_000_000,
        acr: 'goauthentik.io/providers/oauth2/default',
        amr: ['pwd'],
        nonce: 'n-0S6_WzA2Mj',
        sid: '0c2f6f3d0e3b6e0f3c3a0c5d9d3b6c1b0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b',
        email: 'alice@corp.example',
        preferred_username: 'alice',
        groups: ['staff', 'finance'],
        azp: 'Fq3bJ5wq9oD4mE2yV7nT1sK8',
        uid: 'oFhH3m2cO1l0kJ9iG8f7E6d5C4b3A2z1y0xWvUtS',
      },
    },
    machine: {
      header: jwt,
      claims: {
        sub: 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90',
        auth_time: 1_700_000_000,
        acr: 'goauthentik.io/providers/oauth2/default',
        preferred_username: 'ak-mcp-client_credentials',
        groups: [],
        azp: 'Fq3bJ5wq9oD4mE2yV7nT1sK8',
        uid: 'zYxWvUtSrQpOnMlKjIhGfEdCbA9876543210abcd',
      },
    },
    id: {
      header: jwt,
      claims: {
        sub: '3d6d9b1c5c2f5f4a7f0e7c1b1b2a8c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f4a5b',
        auth_time: 1_700_000_000,
        acr: 'goauthentik.io/providers/oauth2/default',
        amr: ['pwd'],
        nonce: 'n-0S6_WzA2Mj',
        sid: '0c2f6f3d0e3b6e0f3c3a0c5d9d3b6c1b0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b',
        email: 'alice@corp.example',
        preferred_username: 'alice',
        groups: ['staff', 'finance'],
      },
    },
  },
}

const { groups: _, ...withoutGroups } = VENDOR_TOKENS.entra.user.claims
const { azp, azpacr, preferred_username, ver, ...ofBothVersions } = withoutGroups
const v1 = { ...ofBothVersions, appid: azp, appidacr: azpacr, unique_name: preferred_username, ver: '1.0' }
const elsewhere = (endpoint: string) => ({
  _claim_names: { groups: 'src1' },
  _claim_sources: { src1: { endpoint } },
})
const GRAPH = 'https://graph.microsoft.com/v1.0/users/690222be-ff1a-4d56-abd1-7e4f7d38e474/getMemberObjects'
const OLD_GRAPH =
  'https://graph.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/users/690222be-ff1a-4d56-abd1-7e4f7d38e474/getMemberObjects'

/** Entra ID's tokens of a user of more groups than fit, by what makes them so. */
export const ENTRA_OVERAGE: Readonly<Record<string, VendorToken>> = {
  'v2.0, which refers to the groups': { header: jwt, claims: { ...withoutGroups, ...elsewhere(GRAPH) } },
  'v1.0, which refers to the groups': { header: jwt, claims: { ...v1, ...elsewhere(OLD_GRAPH) } },
  'v2.0 of the implicit flow': { header: jwt, claims: { ...withoutGroups, hasgroups: true } },
  'v1.0 of the implicit flow, in words': { header: jwt, claims: { ...v1, hasgroups: 'true' } },
  'v1.0 with a claim that links to the groups': { header: jwt, claims: { ...v1, 'groups:src1': OLD_GRAPH } },
}
