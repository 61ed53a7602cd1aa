import {
  type BearerCredential,
  type CertificateCredential,
  type PasswordCredential,
  type SshCertificateCredential,
  secret,
} from '@mcp-delegation/core'
import { readCertificate } from './certificates.ts'
import { readSshCertificate } from './openssh/certificate.ts'
import { textTemplate } from './paths.ts'
import { type Data, denied, nameIn, protocol, textIn } from './sources/answers.ts'
import type { IdentityParts } from './sources/source.ts'

/** The kinds of credentials that a secret can hold. */
export interface StoredCredentials {
  readonly password: PasswordCredential
  readonly bearer: BearerCredential
  readonly certificate: CertificateCredential
  readonly 'ssh-certificate': SshCertificateCredential
}

/** The name of such a kind. */
export type StoredKind = keyof StoredCredentials

/** Under which names a secret holds the members of each kind. */
export interface StoredFields {
  readonly password: {
    /** Default: `username`. Not together with the option `username`. */
    readonly username?: string | undefined
    /** Default: `password`. */
    readonly password?: string | undefined
  }
  readonly bearer: {
    /** Default: `token`. */
    readonly token?: string | undefined
  }
  /** All PEM. */
  readonly certificate: {
    /** Default: `certificate`. */
    readonly certificate?: string | undefined
    /** Default: `private_key`. */
    readonly privateKey?: string | undefined
    /** One text, or a list of them. Default: `ca_chain`, where the secret has it. */
    readonly chain?: string | undefined
  }
  /** In OpenSSH's formats. */
  readonly 'ssh-certificate': {
    /** Default: `username`. Not together with the option `username`. */
    readonly username?: string | undefined
    /** Default: `certificate`. */
    readonly certificate?: string | undefined
    /** Default: `private_key`. */
    readonly privateKey?: string | undefined
  }
}

/** What of a secret is which member of a credential. */
export interface FieldOptions<Kind extends StoredKind> {
  /** What the secret holds. Default: `password`. */
  readonly kind?: Kind | undefined
  /** The names of its fields, where they are not the default ones. */
  readonly fields?: StoredFields[Kind] | undefined
  /**
   * For `password` and `ssh-certificate`, where the secret holds no user name: a template with one placeholder, as
   * `{principal}` or `CORP\{principal}`.
   */
  readonly username?: (Kind extends 'password' | 'ssh-certificate' ? string : never) | undefined
}

/** A credential that was in a secret. */
export interface Stored<Value> {
  readonly value: Value
  /** Whom the backend sees, as far as the secret tells. */
  readonly principal: string
  /** When it ends by itself, in milliseconds since the epoch; infinite where it does not tell. */
  readonly validUntil: number
}

/** Reads a credential from a secret, at the instant `now`. */
export type FieldMapping<Value> = (data: Data, who: IdentityParts, now: number) => Stored<Value>

type Names = Readonly<Record<string, string>>

const DEFAULTS: Readonly<Record<StoredKind, Names>> = {
  password: { username: 'username', password: 'password' },
  bearer: { token: 'token' },
  certificate: { certificate: 'certificate', privateKey: 'private_key', chain: 'ca_chain' },
  'ssh-certificate': { username: 'username', certificate: 'certificate', privateKey: 'private_key' },
}

/** The options of a source that are for {@link fieldMapping}. */
export const FIELD_OPTIONS: readonly string[] = ['kind', 'fields', 'username']

/**
 * How a secret becomes a credential. The mapping throws `ERR_DELEGATION_PROTOCOL` naming a field that is missing or
 * malformed, never its content, and `ERR_DELEGATION_DENIED` for what has expired.
 * @throws TypeError naming the option that is wrong.
 */
export function fieldMapping<Kind extends StoredKind = 'password'>(
  options: FieldOptions<Kind>,
): FieldMapping<StoredCredentials[Kind]> {
  const { kind = 'password', fields = {}, username } = options as FieldOptions<StoredKind>
  if (!Object.hasOwn(DEFAULTS, kind)) throw new TypeError(`"kind" must be one of ${Object.keys(DEFAULTS).join(', ')}`)
  const names = readNames(DEFAULTS[kind], fields)
  if (username !== undefined && !('username' in names)) throw new TypeError(`"username" is none of kind ${kind}`)
  if (username !== undefined && 'username' in fields)
    throw new TypeError('"fields.username" must be absent where there is "username"')
  const template = username === undefined ? undefined : textTemplate(username, 'username')
  const nameOf = (data: Data, who: IdentityParts): string =>
    template === undefined ? nameIn(data, names['username'] as string) : template.fill(who)
  const read: Readonly<Record<StoredKind, FieldMapping<StoredCredentials[StoredKind]>>> = {
    password(data, who) {
      const principal = nameOf(data, who)
      const password = secret(textIn(data, names['password'] as string))
      return forever({ kind, username: principal, password } as PasswordCredential, principal)
    },
    bearer: (data, who) =>
      forever({ kind, token: secret(textIn(data, names['token'] as string)) } as BearerCredential, who.principal),
    certificate(data, who, now) {
      const [certificate, privateKey] = [names['certificate'] as string, names['privateKey'] as string]
      const chain = chainIn(data, names['chain'] as string, 'chain' in fields)
      const parsed = readCertificate({
        certificate: textIn(data, certificate),
        privateKey: textIn(data, privateKey),
        chain,
      })
      if (parsed === undefined) throw protocol(`the fields "${certificate}" and "${privateKey}" are no pair`)
      if (parsed.validUntil <= now) throw denied('the certificate of the caller has expired')
      return { value: parsed.value, principal: parsed.commonName ?? who.principal, validUntil: parsed.validUntil }
    },
    'ssh-certificate'(data, who, now) {
      const username = nameOf(data, who)
      const certificate = textIn(data, names['certificate'] as string).trim()
      const privateKey = secret(textIn(data, names['privateKey'] as string))
      const parsed = readSshCertificate(certificate)
      if (parsed === undefined)
        throw protocol(`the field "${names['certificate']}" of Vault's answer is no certificate`)
      if (parsed.validUntil <= now) throw denied('the certificate of the caller has expired')
      const value = { kind: 'ssh-certificate', username, certificate, privateKey } as const
      return { value: Object.freeze(value), principal: username, validUntil: parsed.validUntil }
    },
  }
  return read[kind] as FieldMapping<StoredCredentials[Kind]>
}

function readNames(defaults: Names, fields: unknown): Names {
  if (fields === null || typeof fields !== 'object' || Array.isArray(fields))
    throw new TypeError('"fields" must be an object')
  for (const [member, name] of Object.entries(fields)) {
    if (!Object.hasOwn(defaults, member)) throw new TypeError(`"fields.${member}" is none of the kind's members`)
    if (typeof name !== 'string' || !/^[^\p{C}\p{Zl}\p{Zp}]{1,255}$/u.test(name))
      throw new TypeError(`"fields.${member}" must be the name of a field`)
  }
  return { ...defaults, ...fields }
}

function chainIn(data: Data, name: string, required: boolean): readonly string[] {
  if (!Object.hasOwn(data, name) && !required) return []
  const given = data[name]
  if (Array.isArray(given) && given.every((item) => typeof item === 'string')) return given
  return [textIn(data, name)]
}

function forever<Value>(value: Value, principal: string): Stored<Value> {
  return { value: Object.freeze(value), principal, validUntil: Number.POSITIVE_INFINITY }
}
