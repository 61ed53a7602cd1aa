import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allowedTargets, parseTarget } from '../src/targets.ts'

test('services are spelled class/host, with a port or an instance, with a name', () => {
  for (const spn of [
    'HTTP/backend.corp.example',
    'HTTP/backend',
    'MSSQLSvc/db.corp.example:1433',
    'MSSQLSvc/db.corp.example:SQLEXPRESS',
    'ldap/dc1.corp.example/corp.example',
    'GC/dc1.corp.example/corp.example',
    'cifs/files_1.corp.example',
    'E3514235-4B06-11D1-AB04-00C04FC2DCD2/dc1.corp.example',
    'x/9:1/9',
    `HTTP/9.${'a'.repeat(63)}:${'9'.repeat(64)}/9.`.padEnd(260, 'b'),
  ])
    expect([spn, parseTarget(spn)]).toEqual([spn, spn])
})

const MALFORMED: readonly unknown[] = [
  ...[
    '',
    '/',
    'HTTP',
    'HTTP/',
    '/host',
    'HTTP//host',
    'HTTP/a.corp.example@CORP.EXAMPLE',
    'HTTP/a\\b',
    'HTTP/a b',
    ' HTTP/a',
  ],
  ...[
    'HTTP/a ',
    'HTTP/a\n',
    'HTTP/a\0',
    'HTTP/a.',
    'HTTP/.a',
    'HTTP/a..b',
    'HTTP/-a.b',
    'HTTP/a-.b',
    'HTTP/a:',
    'HTTP/a:1:2',
  ],
  ...[
    'HTTP/a/',
    'HTTP/a/b/c',
    'HTTP/ａ',
    'HTTP/\u212a',
    'HTTP/a%2eb',
    'HTTP/[::1]',
    '*/a.corp.example',
    'HTTP/a*',
    'HTTP/*',
  ],
  ...[
    `HTTP/9.${'a'.repeat(63)}:${'9'.repeat(64)}/9.`.padEnd(261, 'b'),
    `HTTP/a:${'1'.repeat(65)}`,
    `HTTP/${'a'.repeat(64)}.b`,
    `HTTP/${'a.'.repeat(130)}a`,
    `${'A'.repeat(65)}/a`,
    undefined,
    null,
    7,
    {},
    ['HTTP/a'],
  ],
]

test('what is no service is none, and no entry of a list', () => {
  for (const wrong of MALFORMED) {
    expect([wrong, parseTarget(wrong)]).toEqual([wrong, undefined])
    expect(() => allowedTargets(['HTTP/a', wrong as string], 'allowed')).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('"allowed[1]"') }),
    )
  }
  expect(parseTarget('HTTP/*.corp.example')).toBeUndefined()
})

test('a list that is none, or empty, is refused by its name', () => {
  for (const wrong of [undefined, null, [], {}, 'HTTP/a', new Set(['HTTP/a'])])
    expect(() => allowedTargets(wrong as never, 'allowed')).toThrow(
      new TypeError('"allowed" must be a list of at least one service'),
    )
})

test('a pattern has one * for the first label, and two labels after it', () => {
  for (const right of ['HTTP/*.corp.example', 'MSSQLSvc/*.corp.example:1433', 'ldap/*.a.b.c/corp.example'])
    expect(allowedTargets([right], 'allowed')).toBeDefined()
  for (const wrong of [
    ...['HTTP/*', 'HTTP/*.example', 'HTTP/*.', 'HTTP/*..example', 'HTTP/a*.corp.example', 'HTTP/*a.corp.example'],
    ...[
      'HTTP/**.corp.example',
      'HTTP/*.*.example',
      'HTTP/*.*.corp.example',
      'HTTP/a.*.corp.example',
      'HTTP/corp.example.*',
    ],
    ...[
      '*/a.corp.example',
      'H*/a.corp.example',
      'HTTP/*.corp.example:*',
      'HTTP/*corp.example',
      'HTTP/*.-a.example',
      '*',
    ],
  ])
    expect(() => allowedTargets([wrong], 'allowed'), wrong).toThrow(/^"allowed\[0\]" must be a service/)
})

test('two entries that differ in case alone are one too many', () => {
  for (const list of [
    ['HTTP/a.b.c', 'http/A.b.c'],
    ['HTTP/*.b.c', 'cifs/a', 'http/*.B.c'],
    ['HTTP/a', 'HTTP/a'],
  ])
    expect(() => allowedTargets(list, 'allowed')).toThrow(
      new RegExp(`^"allowed\\[${list.length - 1}\\]" is in the list already`),
    )
})

test('a service is spelled as the list spells it, whatever its case', () => {
  const { match } = allowedTargets(
    ['HTTP/Backend.corp.example', 'MSSQLSvc/*.Corp.example:1433', 'ldap/*.corp.example/Corp'],
    'a',
  )
  expect(match('http/BACKEND.corp.EXAMPLE')).toBe('HTTP/Backend.corp.example')
  expect(match('mssqlsvc/DB.CORP.EXAMPLE:1433')).toBe('MSSQLSvc/db.corp.example:1433')
  expect(match('LDAP/dc1.corp.example/corp')).toBe('ldap/dc1.corp.example/Corp')
})

test('an exact entry goes before a pattern, and covers nothing else', () => {
  const { match } = allowedTargets(['HTTP/*.corp.example', 'HTTP/WEB.corp.example'], 'allowed')
  expect(match('HTTP/web.corp.example')).toBe('HTTP/WEB.corp.example')
  expect(match('HTTP/other.corp.example')).toBe('HTTP/other.corp.example')
  for (const other of [
    ...['HTTP/corp.example', 'HTTP/a.b.corp.example', 'HTTP/a.corp.example.evil.example', 'HTTP/a.evilcorp.example'],
    ...[
      'cifs/a.corp.example',
      'HTTPS/a.corp.example',
      'HTTP/a.corp.example:80',
      'HTTP/a.corp.example/x',
      'HTTP/.corp.example',
    ],
    ...[
      'HTTP/*.corp.example',
      'HTTP/a.corp.example@EVIL',
      'HTTP/a.corp.example\n',
      'HTTP/a.corp.example.',
      'HTTP/evil.example/a.corp.example',
    ],
    ...['HTTP/\u212a.corp.example', 'HTTP/a b.corp.example'],
  ])
    expect([other, match(other)]).toEqual([other, undefined])
})

/** Whether `entry` allows `service`, written as plainly as can be; both are known to be well-formed. */
function allows(entry: string, service: string): boolean {
  const cut = (spn: string) => {
    const [serviceClass = '', rest = '', ...name] = spn.toLowerCase().split('/')
    const [host = '', ...port] = rest.split(':')
    return { serviceClass, labels: host.split('.'), port: port.join(), name: name.join() }
  }
  const [a, b] = [cut(entry), cut(service)]
  return (
    a.serviceClass === b.serviceClass &&
    a.port === b.port &&
    a.name === b.name &&
    a.labels.length === b.labels.length &&
    a.labels.every((label, index) => label === b.labels[index] || (label === '*' && index === 0))
  )
}

test('nothing outside of the list is matched, everything in it is', () => {
  const label = fc.constantFrom('a', 'b', 'B')
  const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'))
  const pattern = fc.array(label, { minLength: 2, maxLength: 2 }).map((labels) => `*.${labels.join('.')}`)
  const rest = fc.constantFrom('', '', '', ':80', '/corp')
  const spn = (of: fc.Arbitrary<string>) =>
    fc
      .tuple(fc.constantFrom('HTTP', 'http', 'cifs'), of, rest)
      .map(([serviceClass, name, more]) => `${serviceClass}/${name}${more}`)
  const list = fc.uniqueArray(fc.oneof(spn(host), spn(pattern)), {
    minLength: 1,
    maxLength: 6,
    selector: (entry) => entry.toLowerCase(),
  })
  let matched = 0
  fc.assert(
    fc.property(list, fc.array(spn(host), { minLength: 1, maxLength: 20 }), (entries, services) => {
      const { match } = allowedTargets(entries, 'allowed')
      for (const service of services) {
        const found = match(service)
        expect([service, found !== undefined]).toEqual([service, entries.some((entry) => allows(entry, service))])
        if (found === undefined) continue
        matched++
        expect(found.toLowerCase()).toBe(service.toLowerCase())
        expect(match(found)).toBe(found)
      }
    }),
    { numRuns: 1_000 },
  )
  expect(matched).toBeGreaterThan(100)
})

test('whatever text comes, what is matched is in the list', () => {
  const entries = ['HTTP/web.corp.example', 'HTTP/*.corp.example', 'MSSQLSvc/db:1433']
  const { match } = allowedTargets(entries, 'allowed')
  const piece = fc.constantFrom(
    'HTTP',
    '/',
    '*',
    '.',
    'corp',
    'example',
    'web',
    ':',
    '@',
    '\\',
    '\n',
    ' ',
    '\0',
    'K',
    '\u212a',
    'MSSQLSvc',
    'db',
    '1433',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      const found = match(pieces.join(''))
      if (found !== undefined) expect(found).toMatch(/^(?:HTTP\/[a-z0-9]+\.corp\.example|MSSQLSvc\/db:1433)$/)
    }),
    { numRuns: 2_000 },
  )
})
