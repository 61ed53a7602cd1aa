import type { Lab } from '../../src/vault/index.ts'

/** Logs in with a token of the lab's identity provider whose `sub` is `name`. Returns the server's token. */
export async function login(lab: Lab, name: string): Promise<string> {
  const jwt = await lab.tokens.sign({ sub: name })
  const { body } = await lab.request('POST', `auth/${lab.mounts.jwt}/login`, { role: 'user', jwt }, { token: '' })
  return (body as { auth: { client_token: string } }).auth.client_token
}
