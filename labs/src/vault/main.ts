// Runs the server, with PostgreSQL, OpenLDAP and an SSH server, until Ctrl-C or SIGTERM, and says how to use it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { table, untilEnded, write } from '../terminal.ts'
import { vault } from './vault.ts'

const end = untilEnded()

try {
  await using lab = await vault({ postgresql: true, ldap: true, ssh: true })
  const { mounts, postgresql, ldap, ssh, tokens } = lab
  const secret = { username: 'alice', password: 'from-the-lab' }
  await lab.request('POST', `${mounts.kv2}/data/users/alice/billing`, { data: secret })
  const jwt = join(lab.folder, 'alice.jwt')
  const claims = { sub: 'alice', exp: Math.floor(Date.now() / 1_000) + 24 * 60 * 60 }
  writeFileSync(jwt, await tokens.sign(claims), { mode: 0o600 })
  const { roleId, secretId } = await lab.appRole()
  write('A secrets server is running.\n')
  write(
    table([
      ['VAULT_ADDR', lab.address],
      ['VAULT_CACERT', lab.ca],
      ['VAULT_TOKEN', `${lab.rootToken} (root)`],
      ['identity provider', tokens.issuer],
      ['audience', tokens.audience],
    ]),
  )
  write('\nLogins')
  write(
    table([
      [`auth/${mounts.jwt}`, `role user, for users; a token of alice is in ${jwt}`],
      [`auth/${mounts.appRole}`, `role server, for servers; role_id ${roleId}, secret_id ${secretId}`],
      [`auth/${mounts.cert}`, 'role server, for clients with a certificate'],
      [`auth/${mounts.kubernetes}`, 'not configured'],
    ]),
  )
  write('\nEngines')
  write(
    table([
      [mounts.kv2, 'users/<name>/… are the secrets of <name>; alice has billing'],
      [mounts.kv1, 'the same in version 1'],
      [mounts.database, `PostgreSQL at ${postgresql.host}:${postgresql.port}; role readonly, static role alice`],
      [mounts.ldap, `OpenLDAP at ${ldap.url}; static and dynamic roles ${Object.keys(ldap.people).join(', ')}`],
      [mounts.ssh, `role user signs keys for a server at ${ssh.host}:${ssh.port}`],
      [mounts.pki, 'role user issues certificates'],
    ]),
  )
  write(`
Log in as alice and read a secret of hers

  export VAULT_ADDR=${lab.address} VAULT_CACERT=${lab.ca}
  jwt=$(cat ${jwt})
  token=$(curl -s --cacert $VAULT_CACERT $VAULT_ADDR/v1/auth/${mounts.jwt}/login -d "{\\"role\\":\\"user\\",\\"jwt\\":\\"$jwt\\"}" | sed -E 's/.*"client_token":"([^"]+)".*/\\1/')
  curl -s --cacert $VAULT_CACERT -H "X-Vault-Token: $token" $VAULT_ADDR/v1/${mounts.kv2}/data/users/alice/billing
  curl -s --cacert $VAULT_CACERT -H "X-Vault-Token: $token" $VAULT_ADDR/v1/${mounts.database}/creds/readonly

Ctrl-C ends it.`)
  await end
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
