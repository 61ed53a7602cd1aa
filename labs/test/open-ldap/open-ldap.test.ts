import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Attribute, Change, Client, InsufficientAccessError } from 'ldapts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type LdapAccount, type OpenLdap, openLdap } from '../../src/open-ldap/index.ts'
import { isAvailable, missingPackages } from '../../src/required.ts'

const lacking = missingPackages(fileURLToPath(new URL('../../vault/debian.json', import.meta.url)))

describe.runIf(isAvailable('OpenLDAP', lacking))('an OpenLDAP of its own', () => {
  let directory: OpenLdap
  let alice: LdapAccount
  beforeAll(async () => {
    directory = await openLdap({ people: ['alice', 'bob', 'carol'], services: ['svc-1'] })
    alice = directory.people['alice'] as LdapAccount
  }, 60_000)
  afterAll(() => directory.dispose())

  /** A connection of the administrator, or of somebody else. */
  const as = async (account: LdapAccount, use: (client: Client) => Promise<void>): Promise<void> => {
    const client = new Client({ url: directory.url })
    await client.bind(account.dn, account.password)
    await use(client).finally(() => client.unbind())
  }
  const change = (dn: string, type: string, value: string) => (client: Client) =>
    client.modify(dn, new Change({ operation: 'replace', modification: new Attribute({ type, values: [value] }) }))
  const passwordSeenBy = async (account: LdapAccount, dn: string): Promise<unknown> => {
    let seen: unknown
    await as(account, async (client) => {
      seen = (await client.search(dn, { scope: 'base' })).searchEntries[0]?.['userPassword']
    })
    return seen
  }

  test('tells right passwords from wrong ones', async () => {
    for (const { dn, password } of [alice, directory.administrator, directory.services['svc-1'] as LdapAccount]) {
      expect(await directory.bind(dn, password)).toBe(true)
      expect(await directory.bind(dn, `${password}x`)).toBe(false)
      expect(await directory.bind(dn, '')).toBe(false)
    }
    expect(await directory.bind(`uid=nobody,${directory.peopleBase}`, alice.password)).toBe(false)
  })

  test('lets the administrator change a password, which is stored as a hash', async () => {
    const bob = directory.people['bob'] as LdapAccount
    await as(directory.administrator, change(bob.dn, 'userPassword', 'next'))
    expect(await directory.bind(bob.dn, 'next')).toBe(true)
    expect(await directory.bind(bob.dn, bob.password)).toBe(false)
    expect(await passwordSeenBy({ dn: bob.dn, password: 'next' }, bob.dn)).toMatch(/^\{SSHA\}/)
    expect(await passwordSeenBy(alice, bob.dn)).toBeUndefined()
  })

  test('lets the administrator make and delete entries', async () => {
    const dn = `uid=temporary,${directory.peopleBase}`
    const attributes = { objectClass: 'inetOrgPerson', uid: 'temporary', cn: 't', sn: 't', userPassword: 'secret' }
    await as(directory.administrator, (client) => client.add(dn, attributes))
    expect(await directory.exists(dn)).toBe(true)
    expect(await directory.bind(dn, 'secret')).toBe(true)
    await directory.remove(dn)
    expect(await directory.exists(dn)).toBe(false)
    expect(await directory.bind(dn, 'secret')).toBe(false)
  })

  test('lets nobody else change or see what is not theirs', async () => {
    const carol = directory.people['carol'] as LdapAccount
    for (const type of ['userPassword', 'sn'])
      await expect(as(alice, change(carol.dn, type, 'mine'))).rejects.toBeInstanceOf(InsufficientAccessError)
    expect(await directory.bind(carol.dn, carol.password)).toBe(true)
    const nobody = new Client({ url: directory.url })
    await expect(nobody.search(directory.base)).rejects.toThrow()
    await nobody.unbind()
    expect(lstatSync(join(directory.folder, 'data')).mode & 0o777).toBe(0o700)
  })

  test('hangs and goes on', async () => {
    directory.pause()
    const answer = directory.bind(alice.dn, alice.password)
    expect(await Promise.race([answer, delay(200, 'hangs')])).toBe('hangs')
    directory.resume()
    expect(await answer).toBe(true)
  })

  test('refuses connections while it is halted, and has its entries afterwards', async () => {
    const { url } = directory
    await directory.halt()
    await expect(directory.bind(alice.dn, alice.password)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await directory.restart()
    expect(directory.url).toBe(url)
    expect(await directory.bind(alice.dn, alice.password)).toBe(true)
  })

  test('has passwords of its own, and leaves nothing behind', async () => {
    const other = await openLdap()
    expect(Object.keys(other.people)).toEqual(['alice', 'bob'])
    expect(Object.keys(other.services)).toEqual(['svc-1', 'svc-2'])
    expect(await other.bind(alice.dn, alice.password)).toBe(false)
    other.pause()
    await other.dispose()
    expect(existsSync(other.folder)).toBe(false)
    await expect(other.bind(alice.dn, alice.password)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
