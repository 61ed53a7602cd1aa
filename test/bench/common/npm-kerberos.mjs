import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { timed } from './measure.mjs'

const NAME = 'kerberos'
const REMEDY =
  'npm leaves it out without a word where it does not compile. It needs g++, make, python3, libkrb5-dev (Debian) and the ' +
  'headers of Node; npm install --foreground-scripts in test/ says what is missing'

/**
 * A process in which npm `kerberos` makes Negotiate tokens (SPNEGO) with the ticket in a cache file, which is its default
 * one there; undefined, and a loud reason, where the package is not installed.
 */
export async function startNpmKerberos(lab, path, service) {
  const env = { ...process.env, KRB5_CONFIG: lab.krb5Conf, KRB5CCNAME: `FILE:${path}` }
  const child = fork(fileURLToPath(import.meta.url), [service], { env, execArgv: [] })
  const [ready] = await once(child, 'message')
  if (ready.missing === undefined)
    return {
      async run(calls, atOnce) {
        child.send({ calls, atOnce })
        const [result] = await once(child, 'message')
        return result
      },
      end: () => child.disconnect(),
    }
  console.error(`\nNOT MEASURED: npm ${NAME} can't be loaded (${ready.missing}). ${REMEDY}\n`)
  return undefined
}

async function serve(service) {
  let kerberos
  try {
    kerberos = (await import(NAME)).default
  } catch (error) {
    process.send({ missing: error.message.split('\n')[0] })
    process.disconnect()
    return
  }
  async function making(calls) {
    for (let call = 0; call < calls; call++) {
      const client = await kerberos.initializeClient(service, { mechOID: kerberos.GSS_MECH_OID_SPNEGO })
      if (!(await client.step(''))) throw new Error('no token')
    }
  }
  process.on('message', async ({ calls, atOnce }) => {
    process.send(await timed(() => Promise.all(Array.from({ length: atOnce }, () => making(calls / atOnce)))))
  })
  process.send({})
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv[2])
