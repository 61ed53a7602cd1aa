// Runs the domain and the web server until Ctrl-C or SIGTERM, and says how to use them.
import { table, untilEnded, write } from '../terminal.ts'
import { accounts, keytabs, passwords } from './accounts.ts'
import { activeDirectory } from './active-directory.ts'
import { apacheBackend } from './apache-backend.ts'

const end = untilEnded()

try {
  await using lab = await activeDirectory()
  await using backend = await apacheBackend(lab)
  const { hostname, port } = new URL(backend.origin)
  const target = 'HTTP/backend.corp.example'
  write('An Active Directory domain is running.\n')
  write(
    table([
      ['KRB5_CONFIG', lab.krb5Conf],
      ['realm', lab.realm],
      ['KDC', lab.kdc],
      [target, `${backend.origin}, or any name that resolves to ${hostname}`],
      ['passwords', `${passwords.user} (users), ${passwords.service} (services)`],
    ]),
  )
  write('\nAccounts')
  const crowd = accounts.filter(({ name }) => /^user\d+$/.test(name)).map(({ name }) => name)
  const others = accounts.filter(({ name }) => !crowd.includes(name))
  write(
    table([...others.map(({ name, what }) => [name, what] as const), [`${crowd[0]} to ${crowd.at(-1)}`, 'ordinary']]),
  )
  write('\nKeytabs')
  write(table((Object.keys(keytabs) as (keyof typeof keytabs)[]).map((name) => [name, lab.keytab(name)])))
  write(`
Delegate by hand: a ticket of alice for the web server, without her password

  export KRB5_CONFIG=${lab.krb5Conf} KRB5CCNAME=${lab.ccache('by-hand')}
  kinit -k -t ${lab.keytab('svc-mcp')} svc-mcp
  kvno -k ${lab.keytab('svc-mcp')} -I alice -P ${target}

Log in as bob and ask the web server who you are

  kinit -k -t ${lab.keytab('users')} bob
  curl --negotiate -u : --resolve backend.corp.example:${port}:${hostname} http://backend.corp.example:${port}/

Ctrl-C ends it.`)
  await end
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
