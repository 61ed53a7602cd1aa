import { describe, expect, test } from 'vitest'
import {
  activeDirectory,
  isPrivileged,
  missing,
  seenByLdap,
  seenBySmb,
  unprivilegedBecause,
} from '../../src/active-directory/index.ts'

describe.runIf(isPrivileged('LDAP and SMB of the lab', unprivilegedBecause(), missing()))(
  '(privileged) the servers',
  () => {
    test('see who comes, in LDAP and SMB', { timeout: 60_000 }, async () => {
      await using lab = await activeDirectory({ ldap: true, smb: true })
      for (const user of ['alice', 'bob']) {
        await lab.run('kinit', ['-k', '-t', lab.keytab('users'), user], { ccache: user })
        const options = { ccache: user }
        expect([await seenByLdap(lab, options), await seenBySmb(lab, options)]).toEqual([user, user])
      }
      expect(await seenByLdap(lab, { ccache: 'none' })).toMatch(/^nobody: /)
      expect(await seenBySmb(lab, { ccache: 'none' })).toMatch(/^nobody: /)
      expect(lab.requests().filter(({ server }) => /^(?:ldap|cifs)\/dc1/.test(server))).toHaveLength(4)
    })

    test('see a delegated user', { timeout: 60_000 }, async () => {
      await using lab = await activeDirectory({ ldap: true, smb: true })
      const keytab = lab.keytab('svc-mcp')
      await lab.run('kinit', ['-k', '-t', keytab, 'svc-mcp'])
      for (const [target, seenBy] of [
        ['ldap/dc1.corp.example', seenByLdap],
        ['cifs/dc1.corp.example', seenBySmb],
      ] as const) {
        const out = lab.ccache(`alice-${seenBy.name}`)
        const args = ['-k', keytab, '-I', 'alice', '-P', '--out-cache', `FILE:${out}`, target]
        expect(await lab.run('kvno', args)).toMatchObject({ status: 0 })
        expect(await seenBy(lab, { ccache: `alice-${seenBy.name}` })).toBe('alice')
      }
    })
  },
)
