import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { run } from '../programs.ts'
import { cloneTemplate } from '../template.ts'
import { accounts, keytabs } from './accounts.ts'
import { krb5Conf, smbConf } from './configuration.ts'
import { provision, SCRIPT } from './directory.ts'

/** A fresh folder with a copy of the provisioned domain, which is made once per machine and version. */
export async function cloneDomain(): Promise<string> {
  return cloneTemplate(`domain-${await version()}`, (folder) => provision(folder, '127.0.0.1'))
}

/** Changes with whatever makes another domain. */
async function version(): Promise<string> {
  const { stdout } = await run(['samba', '--version'])
  const parts = [
    stdout,
    readFileSync(SCRIPT, 'utf8'),
    smbConf({ domain: '', address: '', ldap: false, smb: false }),
    krb5Conf('', ''),
    { accounts, keytabs },
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}
