import { isAvailable, missing, type VaultLab, vault } from '@mcp-delegation/labs/vault'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseStatic } from '../../src/sources/database-static.ts'
import { kv1 } from '../../src/sources/kv1.ts'
import { kv2 } from '../../src/sources/kv2.ts'
import { ldapLibrary } from '../../src/sources/ldap-library.ts'
import { ldapStatic } from '../../src/sources/ldap-static.ts'
import { pki } from '../../src/sources/pki.ts'
import type { Source } from '../../src/sources/source.ts'
import { ssh } from '../../src/sources/ssh.ts'
import { failing } from '../support/contexts.ts'
import { HOSTILE } from '../support/hostile.ts'
import { type SourceContexts, sourceContexts } from './source-contexts.ts'

const OWNERS = ['alice', 'bob', 'root']
const secretOf = (name: string): string => `the-secret-of-${name}`

describe.runIf(isAvailable('the Vault lab', missing()))('a user of a hostile name', () => {
  let lab: VaultLab
  let contexts: SourceContexts
  let sources: Readonly<Record<string, Source<unknown>>>
  beforeAll(async () => {
    lab = await vault()
    contexts = sourceContexts(lab)
    const { kv2: second, kv1: first } = lab.mounts
    for (const name of OWNERS) {
      const account = { username: name, password: secretOf(name) }
      for (const below of ['vcenter', 'x'])
        await lab.request('POST', `${second}/data/users/${name}/${below}`, { data: account })
      await lab.request('POST', `${first}/users/${name}/vcenter`, account)
    }
    sources = {
      kv2: kv2({ mount: second, path: 'users/{principal}/vcenter' }),
      'kv2, a part of a segment': kv2({ mount: second, path: 'users/{principal}.x/vcenter' }),
      kv1: kv1({ mount: first, path: 'users/{principal}/vcenter', missing: 'no-identity' }),
      databaseStatic: databaseStatic({ mount: lab.mounts.database, role: '{principal}' }),
      ldapStatic: ldapStatic({ mount: lab.mounts.ldap, role: '{principal}' }),
      ldapLibrary: ldapLibrary({ mount: lab.mounts.ldap, set: '{principal}' }),
      ssh: ssh({ mount: lab.mounts.ssh, role: 'server', principals: ['{principal}'] }),
      pki: pki({ mount: lab.mounts.pki, role: 'server', commonName: '{principal}' }),
    }
  }, 60_000)
  afterAll(async () => {
    await contexts?.close()
    await lab?.dispose()
  })

  /** All secrets in what a token gets at a path. */
  const readBy = async (token: string, path: string): Promise<readonly string[]> => {
    const { body } = await lab.request('GET', path, undefined, { token })
    const text = JSON.stringify(body) ?? ''
    return OWNERS.map(secretOf).filter((secret) => text.includes(secret))
  }

  test('whose name is harmless gets what is the own', async () => {
    const bob = await contexts.of('bob')
    await expect(sources['kv2']?.obtain(bob)).resolves.toMatchObject({ principal: 'bob' })
    await expect(sources['kv1']?.obtain(bob)).resolves.toMatchObject({ principal: 'bob' })
    expect(await readBy((await contexts.logIn('bob')) ?? '', `${lab.mounts.kv2}/data/users/bob/vcenter`)).toEqual([
      secretOf('bob'),
    ])
  })

  test.each(HOSTILE)('as %s is denied by every source, and nothing is sent', async (_, name) => {
    for (const token of [await contexts.logIn(name), lab.rootToken].filter((given) => given !== undefined)) {
      const context = await contexts.of(name, token)
      const { sent } = contexts
      for (const source of Object.values(sources))
        await expect(source.obtain(context)).rejects.toEqual(failing('ERR_DELEGATION_DENIED'))
      expect(contexts.sent).toBe(sent)
    }
  })

  test.each(HOSTILE)("as %s reads no one's secret by the policy either", async (_, name) => {
    const token = await contexts.logIn(name)
    if (token === undefined) return
    const { kv2: second, kv1: first } = lab.mounts
    const own = encodeURIComponent(Buffer.from(name.slice(0, 500)).toString())
    const paths = [...OWNERS, own].flatMap((owner) => [
      `${second}/data/users/${owner}/vcenter`,
      `${second}/data/users/${owner}/x`,
      `${first}/users/${owner}/vcenter`,
    ])
    expect((await Promise.all(paths.map((path) => readBy(token, path)))).flat()).toEqual([])
  })

  test('that differs in case alone is the same to the server, and gets nothing by the sources', async () => {
    const token = (await contexts.logIn('BOB')) ?? ''
    // The server compares the names of identities without case: the policy is the one of bob.
    expect(await readBy(token, `${lab.mounts.kv2}/data/users/bob/vcenter`)).toEqual([secretOf('bob')])
    for (const name of ['kv2', 'kv1'])
      await expect(sources[name]?.obtain(await contexts.of('BOB', token))).rejects.toMatchObject({ status: 403 })
  })
})
