import { afterEach, describe, expect, test, vi } from 'vitest'
import { discover } from '../../src/oidc/discovery.ts'

afterEach(() => vi.unstubAllGlobals())

/** What is read of a document of an issuer, wherever that is: nothing goes over the network. */
async function discovered(issuer: string, document: Readonly<Record<string, unknown>>): Promise<object> {
  vi.stubGlobal('fetch', async () => Response.json({ issuer, ...document }))
  return discover(issuer, 5_000, new AbortController().signal)
}

describe('an issuer that is asked over TLS', () => {
  const issuer = 'https://idp.example'
  const jwks_uri = 'https://keys.example/jwks'

  test('may have its keys and its introspection elsewhere, over TLS', async () => {
    const introspection_endpoint = 'https://ask.example/introspect'
    expect(await discovered(issuer, { jwks_uri, introspection_endpoint })).toEqual({
      jwksUri: jwks_uri,
      introspectionEndpoint: introspection_endpoint,
    })
  })

  test.each(['http://127.0.0.1:8080/x', 'http://localhost/x', 'http://[::1]/x'])(
    'does not lead to this machine, as %s would',
    async (place) => {
      await expect(discovered(issuer, { jwks_uri: place })).rejects.toMatchObject({
        code: 'ERR_DELEGATION_UNAVAILABLE',
        cause: { message: expect.stringContaining('no "jwks_uri"') },
      })
      expect(await discovered(issuer, { jwks_uri, introspection_endpoint: place })).toEqual({ jwksUri: jwks_uri })
    },
  )
})

test('an issuer on this machine may lead to this machine', async () => {
  const jwks_uri = 'http://127.0.0.1:8081/jwks'
  expect(await discovered('http://localhost:8080', { jwks_uri })).toEqual({ jwksUri: jwks_uri })
})
