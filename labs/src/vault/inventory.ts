import { type Ask, must } from './requests.ts'

/** The ids of all leases below `prefix`, a path that ends in a slash; below nothing, those of secret engines alone. */
export async function leasesBelow(ask: Ask, prefix: string): Promise<readonly string[]> {
  const keys = await keysOf(ask, `sys/leases/lookup/${prefix}`)
  const paths = keys.filter((key) => prefix !== '' || key !== 'auth/').map((key) => prefix + key)
  return (await Promise.all(paths.map((path) => (path.endsWith('/') ? leasesBelow(ask, path) : [path])))).flat()
}

/** The accessors of all living tokens of logins below `prefix`; below nothing, of all tokens but our own. */
export async function accessorsBelow(ask: Ask, prefix: string): Promise<readonly string[]> {
  const own = (await must(ask, 'GET', 'auth/token/lookup-self')) as { data: { accessor: string } }
  const accessors = (await keysOf(ask, 'auth/token/accessors')).filter((accessor) => accessor !== own.data.accessor)
  if (prefix === '') return accessors
  const paths = await Promise.all(accessors.map((accessor) => pathOf(ask, accessor)))
  return accessors.filter((_, index) => paths[index]?.startsWith(`auth/${prefix}`))
}

/** Where the token was made; `undefined`: it is gone by now. */
async function pathOf(ask: Ask, accessor: string): Promise<string | undefined> {
  const { status, body } = await ask('POST', 'auth/token/lookup-accessor', { accessor })
  return status === 200 ? (body as { data: { path: string } }).data.path : undefined
}

async function keysOf(ask: Ask, path: string): Promise<readonly string[]> {
  const { status, body } = await ask('GET', `${path}?list=true`)
  if (status === 404) return []
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
  return (body as { data: { keys: string[] } }).data.keys
}
