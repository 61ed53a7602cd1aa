import { expect, test } from 'vitest'
import { parseKdcLog } from '../../src/active-directory/kdc-log.ts'

/** Lines as Samba writes them: a header with the time before each. */
const log = (...lines: readonly string[]): string =>
  lines
    .map((line) => `[2026/11/22 16:46:16.429123,  3] ../../source4/auth/kerberos/x.c:90(f)\n  Kerberos: ${line}\n`)
    .join('')
const FROM = 'ipv4:127.0.0.1:33040'

test('a refused S4U2Proxy tells who asked, for whom, and why not', () => {
  const [request, ...others] = parseKdcLog(
    log(
      'Probing for TGS-REQ',
      `TGS-REQ svc-mcp@R from ${FROM} for HTTP/b@R [canonicalize, cname-in-addl-tkt, forwardable]`,
      'constrained delegation from svc-mcp@R (svc-mcp@R) as alice@R to HTTP/b@R not allowed',
      'tgs-req: sending error: -1765328371 to client',
      `TGS-REQ ERR_BADOPTION ${FROM} svc-mcp@R HTTP/b@R impersonatee=alice@R elapsed=0.003 reason=Not allowed at all`,
    ),
  )
  expect(others).toEqual([])
  expect(request).toEqual({
    kind: 'S4U2Proxy',
    client: 'svc-mcp@R',
    server: 'HTTP/b@R',
    impersonated: 'alice@R',
    outcome: 'ERR_BADOPTION',
    code: 13,
    reason: 'Not allowed at all',
    at: new Date('2026-11-22T16:46:16.429Z'),
  })
})

test('names with spaces are read whole', () => {
  const requests = parseKdcLog(
    log(
      `TGS-REQ svc-mcp@R from ${FROM} for svc-mcp@R [forwardable]`,
      String.raw`s4u2self svc-mcp@R impersonating \ Domain\ Admin@R to service svc-mcp@R [forwardable]`,
      String.raw`TGS-REQ SUCCESS ${FROM} \ Domain\ Admin@R svc-mcp@R etype=18/18`,
    ),
  )
  expect(requests).toMatchObject([
    {
      kind: 'S4U2Self',
      client: 'svc-mcp@R',
      server: 'svc-mcp@R',
      impersonated: String.raw`\ Domain\ Admin@R`,
      code: 0,
    },
  ])
})

test('nothing of a request is taken for the next one', () => {
  const requests = parseKdcLog(
    log(
      `TGS-REQ svc@R from ${FROM} for svc@R [forwardable]`,
      's4u2self svc@R impersonating alice@R to service svc@R [forwardable]',
      'tgs-req: sending error: -1765328366 to client',
      `TGS-REQ UNKNOWN-0 ${FROM} svc@R svc@R elapsed=0.003 reason=Client is locked out`,
      `TGS-REQ bob@R from ${FROM} for HTTP/b@R`,
      `TGS-REQ SUCCESS ${FROM} bob@R HTTP/b@R`,
      `AS-REQ carol@R from ${FROM} for krbtgt/R@R`,
      `AS-REQ ERR_C_PRINCIPAL_UNKNOWN ${FROM} carol@R krbtgt/R@R elapsed=0.000818`,
    ),
  )
  expect(requests.map(({ kind, client, impersonated, code }) => [kind, client, impersonated, code])).toEqual([
    ['S4U2Self', 'svc@R', 'alice@R', 18],
    ['TGS', 'bob@R', undefined, 0],
    ['AS', 'carol@R', undefined, 0],
  ])
})

test('a request that is not answered yet does not count', () => {
  expect(parseKdcLog(log(`AS-REQ carol@R from ${FROM} for krbtgt/R@R`))).toEqual([])
})

test('what began before a request counts for that alone', () => {
  const requests = parseKdcLog(
    log(
      `TGS-REQ svc@R from ${FROM} for HTTP/b@R [cname-in-addl-tkt]`,
      'tgs-req: sending error: -1765328371 to client',
      `TGS-REQ ERR_BADOPTION ${FROM} svc@R HTTP/b@R impersonatee=alice@R`,
      `TGS-REQ SUCCESS ${FROM} bob@R HTTP/b@R`,
      `TGS-REQ svc@R from ${FROM} for HTTP/b@R [cname-in-addl-tkt]`,
      `TGS-REQ bob@R from ${FROM} for HTTP/b@R`,
      `TGS-REQ SUCCESS ${FROM} bob@R HTTP/b@R`,
    ),
  )
  expect(requests.map(({ kind, client, code }) => [kind, client, code])).toEqual([
    ['S4U2Proxy', 'svc@R', 13],
    ['TGS', 'bob@R', 0],
    ['TGS', 'bob@R', 0],
  ])
})
