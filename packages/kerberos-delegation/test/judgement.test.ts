import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TicketUser } from '../src/engine/messages.ts'
import { type JudgementRules, judge, type Pac } from '../src/judgement.ts'
import { decodeLogonInfo, type LogonInfo, type UpnInfo } from '../src/pac.ts'

const DOMAIN = 'S-1-5-21-1-2-3'
const RULES: JudgementRules = { pac: 'required', deny: [], requireGroupSid: [] }

function pac(logon: Partial<LogonInfo> = {}, upn?: Partial<UpnInfo>): Pac {
  const user: LogonInfo = {
    account: 'alice',
    fullName: undefined,
    domain: 'CORP',
    userId: 1104,
    primaryGroupId: 513,
    sid: `${DOMAIN}-1104`,
    groups: [`${DOMAIN}-513`, 'S-1-18-2'],
    userAccountControl: 0x210,
    userFlags: 0x20,
    ...logon,
  }
  const names: UpnInfo = {
    upn: 'alice@corp.example',
    explicit: true,
    dnsDomain: 'CORP.EXAMPLE',
    account: user.account,
    sid: user.sid,
    ...upn,
  }
  return { logon: user, upn: upn === undefined ? undefined : names }
}

function named(name: string): TicketUser {
  return { name: `${name}@CORP.EXAMPLE`, enterprise: false, realm: 'CORP.EXAMPLE' }
}

function enterprise(name: string): TicketUser {
  return { name, enterprise: true, realm: 'CORP.EXAMPLE' }
}

/** The judgement on `subject` for a delegation, with the rules changed by `rules`. */
function judged(subject: Pac | undefined, asked = named('alice'), rules: Partial<JudgementRules> = {}) {
  return judge(subject, asked, { ...RULES, ...rules }, { delegate: true })
}

test('an ordinary user passes', () => {
  expect(judged(pac())).toBeUndefined()
  expect(judged(pac({}, {}))).toBeUndefined()
})

test('a ticket without a PAC passes only where none is expected and nothing is asked of it', () => {
  expect(judged(undefined)).toEqual({ refusal: 'no-pac' })
  expect(judged(undefined, undefined, { pac: 'none' })).toBeUndefined()
  expect(judged(undefined, undefined, { pac: 'none', deny: ['S-1-5-18'] })).toEqual({ refusal: 'no-pac' })
  expect(judged(undefined, undefined, { pac: 'none', requireGroupSid: ['S-1-5-18'] })).toEqual({ refusal: 'no-pac' })
  expect(judged(pac({ sid: `${DOMAIN}-500` }), undefined, { pac: 'none' })).toMatchObject({ refusal: 'privileged' })
})

test('accounts of a real domain', () => {
  const verdict = (file: string, name: string, delegate = true) => {
    const logon = decodeLogonInfo(readFileSync(new URL(`pac/${file}.bin`, import.meta.url)))
    const { refusal, sid } = judge({ logon, upn: undefined }, named(name), RULES, { delegate }) ?? {}
    return [refusal, sid?.split('-').at(-1)]
  }
  expect(verdict('alice', 'alice')).toEqual([undefined, undefined])
  expect(verdict('administrator', 'administrator')).toEqual(['privileged', '500'])
  expect(verdict('dc1-machine', 'dc1$')).toEqual(['machine', undefined])
  expect(verdict('dc1-machine', 'dc1')).toEqual(['other-account', undefined])
  expect(verdict('carol-sensitive', 'carol')).toEqual(['not-delegated', undefined])
  expect(verdict('carol-sensitive', 'carol', false)).toEqual([undefined, undefined])
  expect(verdict('dave-protected', 'dave')).toEqual(['not-delegated', '525'])
  expect(verdict('dave-protected', 'dave', false)).toEqual(['not-delegated', '525'])
})

describe('the account must be the one that was asked for', () => {
  test('but for case', () => {
    for (const [account, asked] of [
      ['Alice', 'alice'],
      ['ALICE', 'alice'],
      ['Jörg', 'jÖrg'],
      ['ΜΑΡΊΑ', 'μαρία'],
      ['Иван', 'иван'],
    ] as const)
      expect([asked, judged(pac({ account }), named(asked))]).toEqual([asked, undefined])
  })

  test('and nothing else', () => {
    for (const [account, asked] of [
      ['Administrator', ' Administrator'],
      ['Administrator', 'administrator '],
      ['DC1$', 'DC1'],
      ['kate', '\u212aate'],
      ['\u212aate', 'kate'],
      ['susan', '\u017fusan'],
      ['\u0131van', 'ivan'],
      ['\u0130van', 'ivan'],
      ['i\u0307van', '\u0130van'],
      ['strasse', 'straße'],
      ['jose', 'josé'],
      ['jose\u0301', 'josé'],
      ['alice', 'alic'],
      ['alice', 'alice\0'],
      ['alice', ''],
      ['ａlice', 'alice'],
    ] as const)
      expect([asked, judged(pac({ account }), named(asked))]).toEqual([asked, { refusal: 'other-account' }])
  })

  test('in its realm', () => {
    expect(judged(pac(), { ...named('alice'), realm: 'EVIL.EXAMPLE' })).toEqual({ refusal: 'other-account' })
    expect(judged(pac({}, { dnsDomain: 'CHILD.CORP.EXAMPLE' }))).toEqual({ refusal: 'other-account' })
    expect(judged(pac({}, { dnsDomain: 'corp.example' }))).toBeUndefined()
  })

  test('in all that the PAC says of it', () => {
    expect(judged(pac({}, { sid: `${DOMAIN}-1105` }))).toEqual({ refusal: 'other-account' })
    expect(judged(pac({}, { account: 'bob' }))).toEqual({ refusal: 'other-account' })
    expect(judged(pac({}, { sid: undefined, account: undefined }))).toBeUndefined()
  })

  test('by its user principal name, where it was asked for by that', () => {
    const jane = pac({ account: 'jdoe' }, { upn: 'Jane@Example.com' })
    expect(judged(jane, enterprise('jane@example.com'))).toBeUndefined()
    expect(judged(jane, enterprise('jane@example.org'))).toEqual({ refusal: 'other-account' })
    expect(judged(jane, enterprise('jdoe@example.com'))).toEqual({ refusal: 'other-account' })
    expect(judged(pac({ account: 'jane' }), enterprise('jane@CORP.EXAMPLE'))).toEqual({ refusal: 'other-account' })
    // The name of the realm's own is the account's, not the UPN.
    expect(judged(jane, named('jane'))).toEqual({ refusal: 'other-account' })
    expect(judged(jane, named('jdoe'))).toBeUndefined()
  })

  test('of two accounts that differ in more than case, one never passes as the other', () => {
    const letter = fc.constantFrom(...'aAkKsSiI\u212a\u017f\u0131\u0130ßẞéÉ\u0301\u0307σΣς .')
    const name = fc.string({ unit: letter, maxLength: 4 })
    fc.assert(
      fc.property(name, name, (account, asked) => {
        // With a smaller idea of case than that of the code: one letter at a time, and the same letter back.
        const same =
          account.length === asked.length &&
          [...account].every((one, index) => {
            const other = asked[index] as string
            return (
              one === other ||
              (one.toLowerCase() === other && one === other.toUpperCase()) ||
              (one.toUpperCase() === other && one === other.toLowerCase())
            )
          })
        if (!same && account.toLowerCase() !== asked.toLowerCase())
          expect(judged(pac({ account }), named(asked))).toEqual({ refusal: 'other-account' })
        if (same) expect(judged(pac({ account }), named(asked))).toBeUndefined()
      }),
    )
  })
})

test('machines and trusts are refused, by flag or by name', () => {
  for (const flag of [0x40, 0x80, 0x100])
    expect([flag, judged(pac({ userAccountControl: flag }))]).toEqual([flag, { refusal: 'machine' }])
  expect(judged(pac({ account: 'FILES$' }), named('files$'))).toEqual({ refusal: 'machine' })
  expect(judged(pac({ account: 'FILES$ ' }), named('files$ '))).toEqual({ refusal: 'machine' })
})

test('disabled and locked accounts are refused', () => {
  for (const flag of [0x1, 0x400, 0x401])
    expect([flag, judged(pac({ userAccountControl: 0x210 | flag }))]).toEqual([flag, { refusal: 'disabled' }])
})

test('other flags refuse nobody', () => {
  for (const flag of [0x2, 0x4, 0x8, 0x10, 0x20, 0x200, 0x800, 0x1000, 0x2000, 0x8000, 0x10000, 0x20000, 0x40000])
    expect([flag, judged(pac({ userAccountControl: flag }))]).toEqual([flag, undefined])
})

test('privilege goes by SID', () => {
  const privileged = [500, 501, 502, 503, 512, 516, 517, 518, 519, 520, 521, 526, 527]
  for (let rid = 490; rid < 580; rid++) {
    const expected = privileged.includes(rid) ? 'privileged' : rid === 525 ? 'not-delegated' : undefined
    for (const domain of [DOMAIN, 'S-1-5-21-4294967295-0-9']) {
      const group = judged(pac({ groups: [`${DOMAIN}-513`, `${domain}-${rid}`] }))
      expect([domain, rid, group]).toEqual([domain, rid, expected && { refusal: expected, sid: `${domain}-${rid}` }])
      const user = judged(pac({ sid: `${domain}-${rid}` }))
      expect([domain, rid, user?.refusal]).toEqual([domain, rid, expected])
    }
    const builtin = [544, 548, 549, 550, 551].includes(rid)
    const sid = `S-1-5-32-${rid}`
    expect([sid, judged(pac({ groups: [sid] }))]).toEqual([sid, builtin ? { refusal: 'privileged', sid } : undefined])
  }
})

test('and only by the whole of it', () => {
  for (const sid of [
    'S-1-5-21-1-2-512',
    'S-1-5-21-1-2-3-4-512',
    'S-1-5-21-1-2-3-5120',
    'S-1-5-21-1-2-3-1512',
    'S-1-5-32-5440',
  ])
    expect([sid, judged(pac({ groups: [sid] }))]).toEqual([sid, undefined])
})

test('an administrator by whatever name is refused, and for an identity as well', () => {
  const renamed = pac({ account: 'ordinary', sid: `${DOMAIN}-500` })
  for (const delegate of [true, false])
    expect(judge(renamed, named('ordinary'), RULES, { delegate })).toEqual({
      refusal: 'privileged',
      sid: `${DOMAIN}-500`,
    })
})

test('users that may not be delegated are refused; a sensitive one may be identified, a protected one not', () => {
  const sensitive = pac({ userAccountControl: 0x4210 })
  const guarded = pac({ groups: [`${DOMAIN}-525`] })
  const verdicts = (subject: Pac) =>
    [true, false].map((delegate) => judge(subject, named('alice'), RULES, { delegate }))
  expect(verdicts(sensitive)).toEqual([{ refusal: 'not-delegated' }, undefined])
  const refused = { refusal: 'not-delegated', sid: `${DOMAIN}-525` }
  expect(verdicts(guarded)).toEqual([refused, refused])
})

test('the SIDs of the rules: denied is one of them, required is one of theirs', () => {
  const member = pac({ groups: [`${DOMAIN}-513`, `${DOMAIN}-1200`] })
  const deny = (...sids: string[]) => judged(member, undefined, { deny: sids })
  expect(deny('S-1-5-21-9-9-9-1200', `${DOMAIN}-1200`)).toEqual({ refusal: 'denied-sid', sid: `${DOMAIN}-1200` })
  expect(deny(`${DOMAIN}-1104`)).toEqual({ refusal: 'denied-sid', sid: `${DOMAIN}-1104` })
  expect(deny(`${DOMAIN}-1105`)).toBeUndefined()
  const require = (...sids: string[]) => judged(member, undefined, { requireGroupSid: sids })
  expect(require(`${DOMAIN}-1300`, `${DOMAIN}-1200`)).toBeUndefined()
  expect(require(`${DOMAIN}-1300`)).toEqual({ refusal: 'missing-group' })
  // The user is no group.
  expect(require(`${DOMAIN}-1104`)).toEqual({ refusal: 'missing-group' })
})

test('a required group excuses nothing', () => {
  const rules = { requireGroupSid: [`${DOMAIN}-513`] }
  const also = (sid: string) => judged(pac({ groups: [`${DOMAIN}-513`, sid] }), undefined, rules)
  expect(also('S-1-5-32-544')).toMatchObject({ refusal: 'privileged' })
  expect(also(`${DOMAIN}-525`)).toMatchObject({ refusal: 'not-delegated' })
})
