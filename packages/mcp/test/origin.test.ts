import { describe, expect, test } from 'vitest'
import { corsHeaders, isLoopback, originRule } from '../src/origin.ts'

describe('originRule', () => {
  const rule = originRule(new URL('https://mcp.example/mcp'), ['https://app.example', 'vscode-webview://abc'])

  test.each([undefined, 'https://mcp.example', 'https://app.example', 'vscode-webview://abc'])(
    'allows %s',
    (origin) => {
      expect(rule.allows(origin)).toBe(true)
    },
  )

  test.each([
    'null',
    '',
    'https://evil.example',
    'http://mcp.example',
    'https://mcp.example:8443',
    'https://mcp.example.evil.example',
    'https://app.example, https://evil.example',
    'http://localhost:3000',
    'https://APP.example',
  ])('refuses %j', (origin) => {
    expect(rule.allows(origin)).toBe(false)
  })

  test('a resource on this machine allows the pages of this machine, and no name that points here', () => {
    const local = originRule(new URL('http://127.0.0.1:8080/mcp'))
    for (const origin of ['http://localhost:6274', 'http://127.0.0.1:1', 'http://[::1]:9', 'https://localhost'])
      expect(local.allows(origin)).toBe(true)
    for (const origin of [
      'http://localhost.evil.example',
      'http://127.0.0.1.evil.example',
      'http://rebind.example:8080',
      'null',
      'file://localhost',
      'ftp://localhost',
      'http://localhost:1/path',
    ])
      expect(local.allows(origin)).toBe(false)
  })

  test.each([
    ['*'],
    ['https://app.example/'],
    ['https://app.example/path'],
    ['app.example'],
    ['null'],
    [1],
    'https://a',
  ])('refuses %j as an allowed origin', (allowed) => {
    expect(() => originRule(new URL('https://mcp.example'), allowed as never)).toThrow('"allowedOrigins" must be')
  })

  test('browsers of other origins get CORS headers, the own one needs none', () => {
    expect(corsHeaders(rule, 'https://app.example')).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      vary: 'origin',
    })
    expect(corsHeaders(rule, 'https://mcp.example')).toBeUndefined()
    expect(corsHeaders(rule, undefined)).toBeUndefined()
  })
})

test('isLoopback knows this machine by its names', () => {
  for (const name of ['localhost', '127.0.0.1', '127.9.8.7', '[::1]']) expect(isLoopback(name)).toBe(true)
  for (const name of ['example.com', '10.0.0.1', 'localhost.example', '0.0.0.0', '[::2]'])
    expect(isLoopback(name)).toBe(false)
})
