// Runs the server until Ctrl-C or SIGTERM, and says how to use it.
import { table, untilEnded, write } from '../terminal.ts'
import { vcenter } from './vcenter.ts'

const end = untilEnded()

try {
  await using lab = await vcenter()
  write('A vCenter is running.\n')
  write(
    table([
      ['address', lab.address],
      ['certificate authority', lab.ca],
      ...[lab.administrator, ...Object.values(lab.users)].map(({ username, password }): [string, string] => [
        username,
        password,
      ]),
    ]),
  )
  const { username, password } = lab.users['alice@vsphere.local'] ?? lab.administrator
  write(`
Log in as ${username}

  curl -s --cacert ${lab.ca} ${lab.address}/sdk -d '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this><userName>${username}</userName><password>${password}</password></Login></Body></Envelope>'

With govc

  export GOVC_URL=${lab.address} GOVC_USERNAME=${username} GOVC_PASSWORD=${password} GOVC_TLS_CA_CERTS=${lab.ca}
  govc ls '/DC0/vm'

Ctrl-C ends it.`)
  await end
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
