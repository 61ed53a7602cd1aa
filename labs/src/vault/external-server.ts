import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { authority } from '../certificates.ts'
import { newFolder } from '../template.ts'
import { must, requests } from './requests.ts'
import type { Server } from './server.ts'

/** A server that somebody else runs, as the environment names it. */
export interface External {
  readonly address: string
  readonly token: string
  /** The path of a PEM file; `undefined`: the usual authorities. */
  readonly ca: string | undefined
}

/**
 * The server of VAULT_ADDR with VAULT_TOKEN, and VAULT_CACERT where it is set. Only one on this machine is taken: another
 * could reach neither the lab's identity provider nor its backends, and is not for tests.
 */
export function externalServer(): External | undefined {
  const { VAULT_ADDR: address, VAULT_TOKEN: token, VAULT_CACERT: ca } = process.env
  if (!address || !token || !URL.canParse(address)) return undefined
  const { hostname, origin } = new URL(address)
  if (!/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)) return undefined
  return { address: origin, token, ca: ca || undefined }
}

/** Uses it: what it holds stays as it is, and it cannot be stopped. */
export async function useServer({ address, token, ca }: External): Promise<Server> {
  const folder = newFolder()
  const certificates = ca ?? join(folder, 'certificates.pem')
  const issuedFile = join(folder, 'issued')
  if (ca === undefined) writeFileSync(certificates, rootCertificates.join('\n'))
  writeFileSync(issuedFile, '')
  const ask = requests(address, readFileSync(certificates, 'utf8'), () => token)
  const dispose = async (): Promise<void> => rmSync(folder, { recursive: true, force: true })
  const refuse = (): never => {
    throw new Error("the server at VAULT_ADDR is not the lab's to stop")
  }
  try {
    await must(ask, 'GET', 'auth/token/lookup-self')
    return {
      address,
      ca: certificates,
      authority: await authority(folder, 'ca'),
      rootToken: token,
      folder,
      issuedFile,
      ask,
      seal: async () => refuse(),
      unseal: async () => refuse(),
      pause: refuse,
      resume: refuse,
      kill: async () => refuse(),
      halt: async () => refuse(),
      restart: async () => refuse(),
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}
