import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ActiveDirectory,
  activeDirectory,
  isAvailable,
  missing,
  type Outcome,
} from '@mcp-delegation/labs/active-directory'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EXPLANATIONS, type Words } from '../../src/explanations.ts'
import type { KerberosReason } from '../../src/kerberos-error.ts'
import { BACKEND, intranet, refusalOf } from './support.ts'

// Pages show commands that run. A `sh` fence after the comment `<!-- lab -->` runs in a domain of the lab, in the order
// of the page; the `text` fence after it holds lines, or parts of lines, that it prints.

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const page = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8')

interface Step {
  readonly line: number
  readonly script: string
  readonly prints: readonly string[]
}

const FENCE = /^<!-- lab -->\n+```sh\n((?:(?!^```).*\n)*)^```\n(?:\n*```text\n((?:(?!^```).*\n)*)^```\n)?/gm

function stepsOf(name: string): Step[] {
  const text = page(name)
  return [...text.matchAll(FENCE)].map(({ index, 1: script = '', 2: printed = '' }) => ({
    line: text.slice(0, index).split('\n').length,
    script,
    prints: printed.split('\n').filter((line) => line !== ''),
  }))
}

/** A domain, and an administrator at its controller. */
interface Site extends AsyncDisposable {
  readonly lab: ActiveDirectory
  readonly folder: string
  sh(script: string, env?: Readonly<Record<string, string>>): Promise<Outcome>
  follow(steps: readonly Step[]): Promise<void>
}

async function openSite(): Promise<Site> {
  const lab = await activeDirectory()
  const folder = mkdtempSync(join(lab.folder, 'pages-'))
  chmodSync(folder, 0o777)
  // Administrators run samba-tool as root; here the domain belongs to who runs the KDC.
  const asOwner = process.getuid?.() === 0 ? 'setpriv --reuid 65534 --regid 65534 --clear-groups ' : ''
  const tool = `#!/bin/sh\nexec ${asOwner}/usr/bin/samba-tool "$@" -s ${join(lab.folder, 'domain/smb.conf')}\n`
  writeFileSync(join(folder, 'samba-tool'), tool, { mode: 0o755 })
  // What `samba-tool user edit` opens: sets what a remedy says, as somebody would by hand.
  writeFileSync(join(folder, 'editor'), '#!/bin/sh\nexec sed -i "$EDIT" "$1"\n', { mode: 0o755 })
  const sh: Site['sh'] = (script, env) => {
    const surroundings = { PATH: `${folder}:${process.env['PATH']}`, FOLDER: folder, EDITOR: join(folder, 'editor') }
    return lab.run('sh', ['-ec', `cd "$FOLDER"\n${script}`], { env: { ...surroundings, ...env } })
  }
  return {
    lab,
    folder,
    sh,
    follow: async (steps) => {
      for (const { line, script, prints } of steps) {
        const { status, stdout, stderr } = await sh(script)
        expect({ line, status, stderr: status === 0 ? '' : stderr }).toEqual({ line, status: 0, stderr: '' })
        expect({ line, missing: prints.filter((part) => !stdout.includes(part)) }).toEqual({ line, missing: [] })
      }
    },
    [Symbol.asyncDispose]: () => lab.dispose(),
  }
}

const isThere = isAvailable('the Active Directory lab', missing())
let site: Site

beforeAll(async () => {
  if (isThere) site = await openSite()
}, 60_000)

afterAll(() => site?.[Symbol.asyncDispose]())

test.runIf(isThere)(
  'the set-up page makes an account and a keytab that serve a user',
  async () => {
    await using own = await openSite()
    await own.lab.modify('svc-mcp', { deleted: true })
    const steps = stepsOf('kerberos.md')
    expect(steps.length).toBeGreaterThanOrEqual(5)
    await own.follow(steps)
    const keytabPath = join(own.folder, 'svc-mcp.keytab')
    const { registry, ask } = intranet(own.lab, {
      serviceAccount: { username: 'svc-mcp', keytabPath },
      allowedDelegationTargets: [BACKEND, 'cifs/files.corp.example'],
    })
    const ticket = await ask('alice')
    expect(ticket.principal).toBe('alice@CORP.EXAMPLE')
    expect(await ticket.value.negotiate()).toMatch(/^Negotiate YII/)
    expect(await refusalOf(ask('alice', 'cifs/files.corp.example'))).toMatchObject({ reason: 'target-not-delegated' })
    await registry[Symbol.asyncDispose]()
  },
  60_000,
)

describe('the troubleshooting page', () => {
  const reasons = Object.entries(EXPLANATIONS)

  test.each(reasons)(
    'has a section about %s, with the code and the message that callers see',
    (reason, { code, message }) => {
      const section = page('kerberos-troubleshooting.md')
        .split(/^##+ /m)
        .find((one) => one.startsWith(`\`${reason}\`: `))
      expect(section?.split('\n')[0]).toBe(`\`${reason}\`: ${message}`)
      expect(section).toMatch(new RegExp(`^\n\`${code}\``, 'm'))
    },
  )

  test('has a section about nothing that does not exist', () => {
    const named = [...page('kerberos-troubleshooting.md').matchAll(/^### `([\w-]+)`/gm)].map(([, reason]) => reason)
    expect(named.sort()).toEqual(reasons.map(([reason]) => reason).sort())
  })

  test.runIf(isThere)(
    'shows commands that run',
    async () => {
      await using own = await openSite()
      const steps = stepsOf('kerberos-troubleshooting.md')
      expect(steps.length).toBeGreaterThanOrEqual(15)
      await own.follow(steps)
    },
    60_000,
  )
})

describe.runIf(isThere)('what the operator is told to do helps', () => {
  interface Trouble {
    readonly user?: string
    readonly target?: string
    readonly account?: 'svc-mcp' | 'svc-noproto'
    /** What somebody writes in the editor that a command opens, for sed. */
    readonly edit?: string
    readonly options?: (own: ActiveDirectory) => object
    readonly before?: (own: ActiveDirectory) => Promise<unknown>
    readonly after?: string
  }

  test.each<[KerberosReason, Trouble]>([
    ['user-disabled', { user: 'lola' }],
    ['user-refused-by-policy', { user: 'erin' }],
    ['user-expired', { user: 'frank' }],
    ['user-must-change-password', { user: 'grace', edit: 's/^pwdLastSet: .*/pwdLastSet: -1/' }],
    ['user-not-delegated', { user: 'carol' }],
    ['user-lacks-group', { user: 'bob', options: ({ sid }) => ({ requireGroupSid: sid('intranet-users') }) }],
    ['no-protocol-transition', { account: 'svc-noproto' }],
    ['target-not-delegated', { target: 'HTTP/secret.corp.example' }],
    ['service-account-disabled', { before: (own) => own.modify('svc-mcp', { disabled: true }) }],
    [
      'key-rejected',
      {
        before: (own) => own.modify('svc-mcp', { password: 'An0ther-Passw0rd!' }),
        after: 'cat new.keytab > "$KEYTAB"; rm -f new.keytab',
      },
    ],
    [
      'service-password-expired',
      { before: (own) => own.modify('svc-mcp', { mustChangePassword: true }), after: 'rm new.keytab' },
    ],
  ])(
    '%s',
    async (
      reason,
      { user = 'alice', target = BACKEND, account = 'svc-mcp', edit = '', options, before, after = '' },
    ) => {
      await before?.(site.lab)
      const keytabPath = site.lab.keytab(account)
      const open = () =>
        intranet(site.lab, { ...options?.(site.lab), serviceAccount: { username: account, keytabPath } })
      const refused = open()
      const { reason: found, remedy = '' } = await refusalOf(refused.ask(user, target))
      await refused.registry[Symbol.asyncDispose]()
      expect(found).toBe(reason)
      for (const command of commandsOf(remedy)) {
        const { status, stderr } = await site.sh(command, { EDIT: edit })
        expect(`${command}: ${status} ${stderr}`).toMatch(`${command}: 0 `)
      }
      await site.sh(after, { KEYTAB: keytabPath })
      const served = open()
      expect((await served.ask(user, target)).principal).toBe(`${user}@CORP.EXAMPLE`)
      await served.registry[Symbol.asyncDispose]()
    },
    60_000,
  )
})

test.runIf(isThere)(
  'every samba-tool command of a remedy exists, with its options',
  async () => {
    const words: Words = {
      ...{
        realm: 'CORP.EXAMPLE',
        account: 'svc-mcp',
        keytabPath: '/etc/mcp/svc-mcp.keytab',
        user: 'alice',
        person: 'alice',
      },
      ...{ target: BACKEND, spn: BACKEND, sid: 'S-1-5-32-544', deadline: 3000 },
    }
    const commands = Object.values(EXPLANATIONS).flatMap(({ remedy }) => commandsOf(remedy(words)))
    expect(commands.length).toBeGreaterThan(20)
    for (const command of new Set(commands.map((one) => one.split(' ').slice(1, 3).join(' ')))) {
      const { stdout } = await site.sh(`samba-tool ${command} --help`)
      expect(stdout).toMatch(`Usage: samba-tool ${command} `)
    }
  },
  60_000,
)

/** The samba-tool commands in a sentence of the operator's. */
function commandsOf(remedy: string): string[] {
  return (remedy.match(/samba-tool .*?(?=[;,.] |$)/g) ?? []).map((command) =>
    command.replace('GROUP', 'intranet-users'),
  )
}
