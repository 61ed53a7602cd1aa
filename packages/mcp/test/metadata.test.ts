import { describe, expect, test } from 'vitest'
import { resourceMetadata } from '../src/metadata.ts'

const ROOT = '/.well-known/oauth-protected-resource'
const metadataOf = (resource: string, scopes: readonly string[] = []) =>
  resourceMetadata({ resource, authorizationServers: ['https://idp.example'], scopes })

describe('resourceMetadata', () => {
  const metadata = metadataOf('https://mcp.example/mcp', ['mcp'])

  test('serves the document at the path form and at the root form', () => {
    for (const path of [`${ROOT}/mcp`, ROOT]) {
      const answer = metadata.answer('GET', path)
      expect(answer).toMatchObject({
        status: 200,
        headers: { 'content-type': 'application/json', 'access-control-allow-origin': '*' },
      })
      expect(JSON.parse(answer?.body ?? '')).toEqual({
        resource: 'https://mcp.example/mcp',
        authorization_servers: ['https://idp.example'],
        scopes_supported: ['mcp'],
        bearer_methods_supported: ['header'],
      })
    }
  })

  test.each([`${ROOT}/`, `${ROOT}/mcp/`, `${ROOT}/other`, `${ROOT}/mcp/x`, `${ROOT}x`, '/mcp', '/', `/x${ROOT}`, '//'])(
    'serves nothing at %s',
    (path) => {
      expect(metadata.answer('GET', path)).toBeUndefined()
    },
  )

  test('names no scopes where none are needed', () => {
    expect(JSON.parse(metadataOf('https://mcp.example/mcp').answer('GET', ROOT)?.body ?? '')).not.toHaveProperty(
      'scopes_supported',
    )
  })

  test('answers HEAD without a body, a preflight with 204 and other methods with 405', () => {
    expect(metadata.answer('HEAD', ROOT)).toMatchObject({ status: 200, body: undefined })
    expect(metadata.answer('OPTIONS', ROOT)).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-origin': '*', 'access-control-allow-methods': 'GET, HEAD, OPTIONS' },
    })
    for (const method of ['POST', 'DELETE', 'PUT'])
      expect(metadata.answer(method, ROOT)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD, OPTIONS' } })
  })

  test.each([
    ['https://mcp.example/mcp', `https://mcp.example${ROOT}/mcp`],
    ['https://mcp.example/a/b', `https://mcp.example${ROOT}/a/b`],
    ['https://mcp.example', `https://mcp.example${ROOT}`],
    ['https://mcp.example/', `https://mcp.example${ROOT}`],
    ['https://mcp.example/mcp/', `https://mcp.example${ROOT}/mcp`],
    ['http://127.0.0.1:8080/mcp', `http://127.0.0.1:8080${ROOT}/mcp`],
  ])('the document of %s is at %s', (resource, url) => {
    expect(metadataOf(resource).url).toBe(url)
    expect(metadataOf(resource).answer('GET', new URL(url).pathname)?.status).toBe(200)
  })

  test('a resource that ends in a slash has its document at both spellings', () => {
    const { answer } = metadataOf('https://mcp.example/mcp/')
    expect(answer('GET', `${ROOT}/mcp/`)?.status).toBe(200)
    expect(answer('GET', `${ROOT}/mcp`)?.status).toBe(200)
  })
})
