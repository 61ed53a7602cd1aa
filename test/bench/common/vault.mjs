import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { DelegationRegistry } from '@mcp-delegation/core'
import { oidcVerifier } from '@mcp-delegation/core/oidc'
import { vault } from '@mcp-delegation/labs/vault'
import { jwtLogin, vaultMapping } from '@mcp-delegation/vault'
import { ring } from './ring.mjs'

/** Runs `work` with a Vault of its own, and ends that, whatever happens. */
export async function withVault(options, work) {
  const lab = await vault(options)
  try {
    return await work(lab)
  } finally {
    await lab.dispose()
  }
}

/** A registry whose module `vault` logs in as the user. */
export function registryFor(lab, targets, { registry = {}, ...options } = {}) {
  const records = ring()
  return new DelegationRegistry({
    modules: {
      vault: vaultMapping({
        address: lab.address,
        tls: { ca: lab.ca },
        login: jwtLogin({ role: 'user', mount: lab.mounts.jwt }),
        principal: { issuers: [{ issuer: lab.tokens.issuer, claim: 'sub' }] },
        targets,
        ...options,
      }),
    },
    audit: (record) => records.add(record),
    policy: 'backend-decides',
    ...registry,
  })
}

/** Makes sessions as a server does, of real tokens that live for an hour. */
export function sessionsOf(lab) {
  const { issuer, audience } = lab.tokens
  const verifier = oidcVerifier({ issuers: [{ issuer }], audience })
  return async (sub, claims = {}) => {
    const exp = Math.floor(Date.now() / 1000) + 3_600
    return verifier.verify(await lab.tokens.sign({ sub, exp, ...claims }))
  }
}

/** Calls `work` with every one of `items`, `atOnce` at a time. Returns the results in their order. */
export async function mapAtOnce(items, atOnce, work) {
  const results = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index], index)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

/** Gives each user a secret in the KV engine: `users/<name>/vcenter`. */
export async function writeSecrets(lab, users) {
  await mapAtOnce(users, 8, async (name) => {
    const data = { username: `${name}@vsphere.local`, password: `password-of-${name}` }
    await must(lab, 'POST', `${lab.mounts.kv2}/data/users/${name}/vcenter`, { data })
  })
}

/** The body of an answer that must be a success. */
export async function must(lab, method, path, body) {
  const answer = await lab.request(method, path, body)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status}`)
  return answer.body
}

/** Reads what the server was asked from now on: the paths of the requests that its audit file holds. */
export function watchRequests(lab) {
  const file = openSync(lab.issuedFile, 'r')
  const start = fstatSync(file).size
  return {
    paths() {
      const bytes = Buffer.alloc(fstatSync(file).size - start)
      readSync(file, bytes, 0, bytes.length, start)
      const lines = bytes.toString('utf8').split('\n')
      return lines.filter((line) => line.includes('"type":"request"')).map((line) => JSON.parse(line).request.path)
    },
    end: () => closeSync(file),
  }
}
