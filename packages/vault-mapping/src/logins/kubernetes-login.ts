import { open } from 'node:fs/promises'
import { DelegationError } from '@mcp-delegation/core'
import { checkKnown } from '../known-options.ts'
import { createSelfLogin } from './login-answer.ts'
import type { OwnLogin } from './login-method.ts'
import { checkFile, checkMount, checkName } from './login-options.ts'

/** What {@link kubernetesLogin} takes. */
export interface KubernetesLoginOptions {
  /** The role of the auth method that the pod's service account is bound to. */
  readonly role: string
  /** The pod's token, read anew for each login. Default: `/var/run/secrets/kubernetes.io/serviceaccount/token`. */
  readonly tokenFile?: string | undefined
  /** The path of the auth method. Default: `kubernetes`. */
  readonly mount?: string | undefined
}

const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token'
const MAX_BYTES = 65_536

/**
 * Logs in as this server with the token of the pod's service account. A token that can't be read is
 * `ERR_DELEGATION_UNAVAILABLE`, one that Vault refuses `ERR_DELEGATION_PROTOCOL`.
 * @throws TypeError naming the option that is wrong.
 * @see https://openbao.org/api-docs/auth/kubernetes/#login
 */
export function kubernetesLogin(options: KubernetesLoginOptions): OwnLogin {
  checkKnown(options, ['role', 'tokenFile', 'mount'], 'kubernetesLogin')
  const mount = checkMount(options.mount ?? 'kubernetes')
  const role = checkName(options.role, 'role')
  const tokenFile = checkFile(options.tokenFile ?? TOKEN_FILE, 'tokenFile')
  const logIn = createSelfLogin()
  return {
    type: 'kubernetes',
    as: 'self',
    owned: true,
    async logIn({ post, clock, signal }) {
      const jwt = await readToken(tokenFile)
      signal.throwIfAborted()
      return await logIn(() => post(`auth/${mount}/login`, { role, jwt }), clock)
    },
  }
}

/** The kubelet makes it readable by everybody in the pod, so that no rule for private files fits. */
async function readToken(path: string): Promise<string> {
  let text = ''
  try {
    const file = await open(path)
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0)
      text = buffer.toString('latin1', 0, bytesRead).trim()
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw unreadable(cause)
  }
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) throw unreadable(new Error(`${path} does not hold a JWT`))
  return text
}

function unreadable(cause: unknown): DelegationError {
  const message = 'the token of the service account could not be read'
  return new DelegationError('ERR_DELEGATION_UNAVAILABLE', message, { cause })
}
