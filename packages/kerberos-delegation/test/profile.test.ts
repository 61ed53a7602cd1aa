import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type ProfileOptions, profileText } from '../src/profile.ts'

const options: ProfileOptions = {
  realm: 'CORP.EXAMPLE',
  kdc: ['dc1.corp.example', 'dc2.corp.example:1088', '192.0.2.7', '192.0.2.7:88', '[2001:db8::7]', '[2001:db8::7]:88'],
  ticketLifetime: 3_600_999,
}

test('the whole text', () => {
  expect(profileText(options)).toBe(`[libdefaults]*
  default_realm = CORP.EXAMPLE
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_uri_lookup = false
  dns_canonicalize_hostname = false
  rdns = false
  qualify_shortname = ""
  udp_preference_limit = 1
  forwardable = true
  proxiable = false
  ticket_lifetime = 3600
  kdc_timesync = 0
  allow_weak_crypto = false
  permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128
  plugin_base_dir = /dev/null
[realms]
  CORP.EXAMPLE = {
    kdc = dc1.corp.example
    kdc = dc2.corp.example:1088
    kdc = 192.0.2.7
    kdc = 192.0.2.7:88
    kdc = [2001:db8::7]
    kdc = [2001:db8::7]:88
  }*
`)
  expect(profileText({ ...options, kdc: 'dc1.corp.example' })).toContain('{\n    kdc = dc1.corp.example\n  }*\n')
  const found = profileText({ ...options, kdc: undefined, discovery: 'dns' })
  expect(found).toContain('\n  dns_lookup_kdc = true\n')
  expect(found).not.toContain(' kdc = ')
})

test('what is no KDC is refused, and named', () => {
  for (const wrong of [
    ...[
      '',
      ' ',
      'dc1 ',
      ' dc1',
      'dc1\n',
      'dc1\n  kdc = evil',
      'dc1 }',
      '}',
      'dc1}*',
      '{',
      'dc1=2',
      'dc1 dc2',
      'dc1,dc2',
      'dc1#',
      'dc1;',
    ],
    ...[
      'dc1:',
      'dc1:0',
      'dc1:65536',
      'dc1:088',
      'dc1:88:88',
      'dc1:x',
      'tcp/dc1',
      'https://dc1',
      'dc1/88',
      'dc1*',
      '"dc1"',
      'dc1\\',
    ],
    ...[
      '2001:db8::7',
      '[2001:db8::7',
      '[]',
      '[dc1]',
      '[2001:db8::7]88',
      '[fe80::1%eth0]',
      '256.0.0.1',
      '1.2.3',
      '1.2.3.4.5',
      '1',
    ],
    ...[
      '-dc1',
      'dc1-',
      'dc1..corp',
      '.dc1',
      'dc1.',
      'dc_1',
      'dc1\0',
      'd\u212a',
      'ｄc1',
      `${'a'.repeat(64)}.b`,
      'a.'.repeat(127) + 'a'.repeat(2),
    ],
    ...[undefined, null, 88, {}, ['dc1']],
  ])
    expect(() => profileText({ ...options, kdc: ['dc1', wrong as string] }), String(wrong)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(/^"kdc\[1\]" must be host or host:port/),
      }),
    )
  expect(() => profileText({ ...options, kdc: 'dc1 dc2' })).toThrow('"kdc" must be host or host:port')
  for (const wrong of [[], {}, 7, null, Array(17).fill('dc1')])
    expect(() => profileText({ ...options, kdc: wrong as never })).toThrow(
      '"kdc" must be host or host:port, or a list of 1 to 16',
    )
})

test('whatever the text, one KDC is one line that says nothing else', () => {
  const piece = fc.constantFrom(
    'dc1',
    '.',
    ':',
    '88',
    '\n',
    ' ',
    '}',
    '{',
    '*',
    '=',
    '[',
    ']',
    '::1',
    '-',
    '#',
    '\r',
    '\t',
    'include ',
    '\\',
    '\0',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const kdc = pieces.join('')
      let text: string
      try {
        text = profileText({ ...options, kdc })
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
        return
      }
      const one = profileText({ ...options, kdc: 'dc1' })
      expect(text.split('\n')).toHaveLength(one.split('\n').length)
      expect(text.replace(kdc, 'dc1')).toBe(one)
      expect(kdc).toMatch(/^[A-Za-z0-9.:[\]-]+$/)
    }),
    { numRuns: 2_000 },
  )
})

test('other options are checked', () => {
  for (const realm of ['', 'corp.example', 'CORP.EXAMPLE = {\n}\n', 'CORP }', 'A\nB'])
    expect(() => profileText({ ...options, realm })).toThrow('"realm" must be a realm')
  for (const ticketLifetime of [0, 999, -1, Number.NaN, Infinity, '1h', undefined, 2 ** 31 * 1000])
    expect(() => profileText({ ...options, ticketLifetime: ticketLifetime as number }), String(ticketLifetime)).toThrow(
      '"ticketLifetime" must be',
    )
  expect(() => profileText({ ...options, kdc: undefined })).toThrow('either "kdc" or "discovery"')
  expect(() => profileText({ ...options, discovery: 'dns' })).toThrow('either "kdc" or "discovery"')
  expect(() => profileText({ ...options, kdc: undefined, discovery: 'srv' as never })).toThrow(
    '"discovery" must be "dns"',
  )
})

describe('as the library understands it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const merged = join(folder, 'other.conf')
  writeFileSync(
    merged,
    `[libdefaults]
  default_realm = EVIL.EXAMPLE
  dns_lookup_kdc = true
[realms]
  CORP.EXAMPLE = {
    kdc = 127.0.0.3:9
  }
`,
  )

  /** What `kinit` of MIT does with it, step by step; nobody answers. */
  function trace(text: string, ...more: readonly string[]): string {
    const path = join(folder, 'krb5.conf')
    writeFileSync(path, text)
    const steps = join(folder, 'trace')
    rmSync(steps, { force: true })
    const env = { PATH: process.env['PATH'], KRB5_CONFIG: [path, ...more].join(':'), KRB5_TRACE: steps }
    expect(spawnSync('kinit', ['-c', 'MEMORY:none', 'nobody'], { env, input: 'x\n' }).status).toBe(1)
    return readFileSync(steps, 'utf8')
  }

  async function closedPort(): Promise<number> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    return port
  }

  test('its KDC is the only one, also where another file is merged with it', async ({ skip }) => {
    try {
      execFileSync('kinit', ['-V', '--help'], { stdio: 'ignore' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        if (process.env['REQUIRE_REAL'] === '1') throw error
        console.warn('SKIPPED: needs kinit of MIT Kerberos')
        skip()
      }
    }
    const port = await closedPort()
    const text = profileText({ ...options, kdc: `127.0.0.1:${port}` })
    for (const files of [[], [merged]]) {
      const steps = trace(text, ...files)
      expect(steps).toContain('nobody@CORP.EXAMPLE')
      // UDP is tried where TCP was refused.
      const asked = [...steps.matchAll(/(?:stream|dgram|hostname) (\S+)$/gm)].map(([, address]) => address)
      expect(asked).toContain(`127.0.0.1:${port}`)
      expect(asked.filter((address) => address !== '127.0.0.1' && address !== `127.0.0.1:${port}`)).toEqual([])
      expect(steps).not.toContain('DNS')
    }
    // The other file alone is what the final sections keep out, so this can be seen.
    expect(trace(text.replaceAll(']*', ']').replaceAll('}*', '}'), merged)).toContain('127.0.0.3')
  })
})
