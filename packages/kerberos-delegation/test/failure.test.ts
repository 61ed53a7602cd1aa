import { expect, test } from 'vitest'
import { EngineError } from '../src/engine/engine.ts'
import type { HelperFailure } from '../src/engine/messages.ts'
import { failureOf } from '../src/failure.ts'
import { KerberosError, type KerberosReason } from '../src/kerberos-error.ts'

const of = {
  realm: 'CORP.EXAMPLE',
  account: 'svc-mcp',
  keytabPath: '/etc/svc-mcp.keytab',
  user: 'alice@CORP.EXAMPLE',
  target: 'HTTP/backend.corp.example',
  deadline: 3_000,
}

function explained(failure: Partial<HelperFailure> & Pick<HelperFailure, 'stage'>) {
  const error = new EngineError('failed', 'failed', {
    failure: { text: 'the library said so', major: 0xd0000, ...failure },
  })
  const { code, message, cause } = failureOf(error, of)
  if (!(cause instanceof KerberosError)) throw new Error('the cause is no KerberosError')
  return { code, message, cause }
}

const rows: readonly [stage: HelperFailure['stage'], minor: number, code: string, reason: KerberosReason][] = [
  ['service', -1765328378, 'PROTOCOL', 'service-account-unknown'],
  ['service', -1765328366, 'PROTOCOL', 'service-account-disabled'],
  ['service', -1765328361, 'PROTOCOL', 'service-password-expired'],
  ['service', -1765328360, 'PROTOCOL', 'key-rejected'],
  ['service', -1765328353, 'PROTOCOL', 'key-rejected'],
  ['service', -1765328189, 'PROTOCOL', 'keytab-unusable'],
  ['service', -1765328370, 'PROTOCOL', 'encryption-type-refused'],
  ['accept', -1765328353, 'PROTOCOL', 'key-rejected'],
  ['accept', -1765328154, 'PROTOCOL', 'key-rejected'],
  ['self', -1765328378, 'DENIED', 'user-unknown'],
  ['self', -1765328366, 'DENIED', 'user-disabled'],
  ['self', -1765328372, 'DENIED', 'user-refused-by-policy'],
  ['self', -1765328383, 'DENIED', 'user-expired'],
  ['self', -1765328371, 'PROTOCOL', 'service-not-a-service'],
  ['self', -1765328377, 'PROTOCOL', 'service-not-a-service'],
  ['proxy', -1765328361, 'DENIED', 'user-must-change-password'],
  ['proxy', -1765328377, 'DENIED', 'target-unknown'],
  ['proxy', -1765328376, 'PROTOCOL', 'target-duplicated'],
  ['proxy', -1765328371, 'DENIED', 'target-not-delegated'],
  ['proxy', -1765328352, 'UNAVAILABLE', 'ticket-expired'],
  ['token', -1765328243, 'UNAVAILABLE', 'ticket-expired'],
  ['token', -42, 'PROTOCOL', 'unexpected'],
  ['service', -1765328228, 'UNAVAILABLE', 'kdc-unreachable'],
  ['self', -1765328228, 'UNAVAILABLE', 'kdc-unreachable'],
  ['proxy', -1765328230, 'UNAVAILABLE', 'kdc-unknown'],
  ['service', -1765328347, 'PROTOCOL', 'clock-skew'],
  ['self', -1765328351, 'PROTOCOL', 'clock-skew'],
  ['proxy', -1765328236, 'PROTOCOL', 'clock-skew'],
  ['proxy', -42, 'PROTOCOL', 'unexpected'],
  ['context', -1765328349, 'PROTOCOL', 'peer-refused'],
]

test.each(rows)('%s %i is %s, %s', (stage, minor, code, reason) => {
  const found = explained({ stage, minor })
  expect(found.code).toBe(`ERR_DELEGATION_${code}`)
  expect(found.cause).toMatchObject({ reason, stage, minor, major: 0xd0000 })
  expect(found.cause.message).toBe(`the library said so. ${found.cause.remedy}`)
})

test('the refusal that has four causes is told by the evidence ticket of the user', () => {
  const badOption = { stage: 'proxy', minor: -1765328371 } as const
  const reasonOf = (forwardable: boolean, notDelegated: boolean) =>
    explained({ ...badOption, evidence: { forwardable, notDelegated } }).cause.reason
  expect(reasonOf(true, false)).toBe('target-not-delegated')
  expect(reasonOf(false, false)).toBe('no-protocol-transition')
  expect(reasonOf(false, true)).toBe('user-not-delegated')
  expect(reasonOf(true, true)).toBe('user-not-delegated')
})

test.each([
  ['no-pac', 'PROTOCOL', 'no-privilege-attributes'],
  ['other-account', 'DENIED', 'user-is-another-account'],
  ['machine', 'DENIED', 'user-is-a-machine'],
  ['privileged', 'DENIED', 'user-privileged'],
  ['not-delegated', 'DENIED', 'user-not-delegated'],
  ['denied-sid', 'DENIED', 'user-denied-by-sid'],
  ['missing-group', 'DENIED', 'user-lacks-group'],
  ['disabled', 'DENIED', 'user-disabled'],
] as const)('a judgement of %s is %s, %s', (refusal, code, reason) => {
  const found = explained({ stage: 'judge', refusal, sid: 'S-1-5-21-1-2-3-500' })
  expect(found).toMatchObject({ code: `ERR_DELEGATION_${code}`, cause: { reason } })
})

test.each([
  ['late', 'UNAVAILABLE', 'kdc-silent'],
  ['open', 'UNAVAILABLE', 'kdc-silent-lately'],
  ['lost', 'UNAVAILABLE', 'engine-stopped'],
  ['closed', 'UNAVAILABLE', 'ticket-released'],
] as const)('an engine that is %s is %s, %s', (kind, code, reason) => {
  const retryAt = Date.now() + 5_000
  const error = failureOf(new EngineError(kind, 'so it is', { retryAt }), of)
  expect(error).toMatchObject({ code: `ERR_DELEGATION_${code}`, retryable: true, cause: { reason } })
  expect(error.retryAfter).toEqual(new Date(retryAt))
})

test('a remedy names the account, the target and the user, in words for both kinds of domain', () => {
  const { cause } = explained({
    stage: 'proxy',
    minor: -1765328371,
    evidence: { forwardable: true, notDelegated: false },
  })
  expect(cause.remedy).toContain("Set-ADUser svc-mcp -Add @{'msDS-AllowedToDelegateTo'='HTTP/backend.corp.example'}")
  expect(cause.remedy).toContain('samba-tool delegation add-service svc-mcp HTTP/backend.corp.example')
  expect(explained({ stage: 'self', minor: -1765328383 }).cause.remedy).toContain(
    'samba-tool user setexpiry alice --noexpiry',
  )
  expect(explained({ stage: 'service', minor: -1765328360 }).cause.remedy).toContain('/etc/svc-mcp.keytab')
})

test('a name that a shell would run is in no remedy', () => {
  for (const name of ['x$(reboot)', "x'y", 'x`id`', '-rf', 'x&y', 'x!y', '{x}', 'x\ny']) {
    for (const [stage, minor] of rows) {
      const failure = { stage, minor, text: 'the library said so' }
      const { cause } = failureOf(new EngineError('failed', 'failed', { failure }), {
        ...of,
        user: `${name}@CORP.EXAMPLE`,
      })
      expect((cause as KerberosError).remedy).not.toContain(name)
    }
  }
})

test('what a model may see names no account, no server and no file', () => {
  for (const [stage, minor] of rows) {
    const { message } = explained({ stage, minor })
    expect(message).not.toMatch(/alice|svc-mcp|CORP|backend|\/etc/)
  }
})
