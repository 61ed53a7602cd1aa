import { CHANNEL_BINDINGS } from './layouts.ts'
import { gss } from './libraries.ts'
import {
  type Address,
  begin,
  buffer,
  constant,
  FLAGS,
  HANDLE,
  MINOR,
  MORE,
  OTHER,
  OUTPUT,
  put,
  read,
  read32,
  SECOND,
  SECONDS,
  STATE,
  take,
  text,
  write,
  write32,
} from './memory.ts'

declare const kind: unique symbol
/** Handles of the library. Who has got one releases it once. */
export type Name = Address & { readonly [kind]: 'name' }
export type Credential = Address & { readonly [kind]: 'credential' }
export type Context = Address & { readonly [kind]: 'context' }

/** What a call answered. `minor` is signed. @see RFC 2744 3.9.1 */
export class GssError extends Error {
  readonly major: number
  readonly minor: number

  constructor(call: string, major: number, minor: number, text: string) {
    super(`${call}: ${text}`)
    this.major = major
    this.minor = minor
  }
}

export const MUTUAL = 2
export const REPLAY = 4
export const SEQUENCE = 8
export const CONFIDENTIALITY = 16
export const INTEGRITY = 32

const INITIATE = 1
const ACCEPT = 2
const CONTINUE = 1
const UNAVAILABLE = 16 << 16
const INDEFINITE = 0xffffffff

/** A descriptor that stays. */
function described(length: number, address: Address): Address {
  const descriptor = Buffer.alloc(16)
  descriptor.writeBigUInt64LE(BigInt(length), 0)
  descriptor.writeBigUInt64LE(BigInt(address), 8)
  return constant(descriptor)
}

function oid(hex: string): Address {
  const elements = Buffer.from(hex, 'hex')
  return described(elements.length, constant(elements))
}

const KRB5 = oid('2a864886f712010202')
const PRINCIPAL = oid('2a864886f71201020201')
const ENTERPRISE = oid('2a864886f71201020206')
const KRB5_ONLY = described(1, KRB5)

/** The error text is the thread's: it is read before anything else is called. */
function check(call: string, major: number): void {
  if (major >>> 16 === 0) return
  const minor = read32(MINOR) | 0
  write32(MORE, 0)
  empty(OTHER)
  const told = gss.display_status(STATE, minor === 0 ? major : minor, minor === 0 ? 1 : 2, KRB5, MORE, OTHER)
  throw new GssError(call, major, minor, told >>> 16 === 0 ? take(OTHER).toString() : `minor ${minor}`)
}

function empty(at: Address): Address {
  write(at, 0)
  write(at + 8, 0)
  return at
}

/** A place for a handle, which a failed call leaves empty. */
function handle(at: Address = HANDLE): Address {
  write(at, 0)
  return at
}

function handedOver(at: Address = HANDLE): Address {
  return read(at)
}

/** A name of the Kerberos mechanism: nothing is looked up. An enterprise name ends in its realm, after another `@`. */
export function importName(name: string, type: 'principal' | 'enterprise' = 'principal'): Name {
  begin()
  const form = type === 'principal' ? PRINCIPAL : ENTERPRISE
  check('import_name', gss.import_name(MINOR, buffer(Buffer.from(name)), form, handle()))
  return handedOver() as Name
}

export function displayName(name: Name): string {
  check('display_name', gss.display_name(MINOR, name, empty(OUTPUT), 0))
  return take().toString()
}

export function releaseName(name: Name): void {
  write(HANDLE, name)
  gss.release_name(MINOR, HANDLE)
}

/**
 * An attribute of the name of who initiated a context that was accepted; undefined where the ticket has none.
 * @throws GssError where it is not authenticated
 */
export function attributeOf(name: Name, attribute: string): Buffer | undefined {
  begin()
  write32(MORE, 0xffffffff)
  write32(FLAGS, 0)
  const wanted = buffer(Buffer.from(attribute))
  const major = gss.get_name_attribute(MINOR, name, wanted, FLAGS, STATE, empty(OUTPUT), empty(OTHER), MORE)
  if (major >>> 16 === UNAVAILABLE >>> 16) return undefined
  check('get_name_attribute', major)
  take(OTHER)
  const value = take()
  if (read32(FLAGS) === 0) throw new GssError('get_name_attribute', 0, 0, 'the attribute is not authenticated')
  return value
}

/** A key-value set: where credentials come from and go to. */
function store(entries: Readonly<Record<string, string>>): Address {
  const list = Object.entries(entries)
  const elements = Buffer.alloc(16 * list.length)
  for (const [index, [key, value]] of list.entries()) {
    elements.writeBigUInt64LE(BigInt(text(key)), 16 * index)
    elements.writeBigUInt64LE(BigInt(text(value)), 16 * index + 8)
  }
  const set = Buffer.alloc(16)
  set.writeUInt32LE(list.length, 0)
  set.writeBigUInt64LE(BigInt(put(elements)), 8)
  return put(set)
}

/** What a credential is made of. */
export type CredentialSource =
  | { readonly ccache: string; readonly client_keytab?: string }
  | { readonly keytab: string; readonly rcache: 'none:' }

/** A credential to initiate with (`ccache`; with a `client_keytab` it may ask the KDC) or to accept with (`keytab`). */
export function acquire(
  name: Name | undefined,
  source: CredentialSource,
): { readonly credential: Credential; readonly seconds: number } {
  begin()
  const usage = 'ccache' in source ? INITIATE : ACCEPT
  const from = store(source)
  const major = gss.acquire_cred_from(MINOR, name ?? 0, INDEFINITE, KRB5_ONLY, usage, from, handle(), 0, SECONDS)
  check('acquire_cred_from', major)
  return { credential: handedOver() as Credential, seconds: read32(SECONDS) }
}

/** S4U2Self: a credential that holds the evidence ticket. */
export function impersonate(credential: Credential, name: Name): Credential {
  const major = gss.acquire_cred_impersonate_name(
    MINOR,
    credential,
    name,
    INDEFINITE,
    KRB5_ONLY,
    INITIATE,
    handle(),
    0,
    SECONDS,
  )
  check('acquire_cred_impersonate_name', major)
  return handedOver() as Credential
}

/** Copies all tickets of a credential into a credential cache. */
export function storeInto(credential: Credential, cache: string): void {
  begin()
  check('store_cred_into', gss.store_cred_into(MINOR, credential, INITIATE, KRB5, 1, 0, store({ ccache: cache }), 0, 0))
}

export function releaseCredential(credential: Credential): void {
  write(HANDLE, credential)
  gss.release_cred(MINOR, HANDLE)
}

/** What a context has come to. After a failure there is none. */
export interface Step {
  readonly context: Context
  readonly token: Buffer
  readonly done: boolean
  /** What the context offers. */
  readonly flags: number
}

export interface InitiateOptions {
  /** Default: 0. */
  readonly flags?: number | undefined
  /** Application data of the channel. @see RFC 5929 */
  readonly channelBindings?: Uint8Array | undefined
  /** A context to go on with, and what its acceptor answered. */
  readonly context?: Context | undefined
  readonly reply?: Uint8Array | undefined
}

/** A step of the initiator. A context that fails is deleted. */
export function initiate(credential: Credential, target: Name, options: InitiateOptions = {}): Step {
  begin()
  const { flags = 0, channelBindings, context = 0, reply } = options
  write(HANDLE, context)
  const bindings = channelBindings === undefined ? 0 : bound(channelBindings)
  const input = reply === undefined ? 0 : buffer(reply)
  const major = gss.init_sec_context(
    MINOR,
    credential,
    HANDLE,
    target,
    KRB5,
    flags,
    0,
    bindings,
    input,
    0,
    empty(OUTPUT),
    FLAGS,
    0,
  )
  return stepped('init_sec_context', major)
}

function stepped(call: string, major: number): Step {
  const context = handedOver() as Context
  try {
    check(call, major)
  } catch (error) {
    take()
    if (context !== 0) deleteContext(context)
    throw error
  }
  return { context, token: take(), done: (major & CONTINUE) === 0, flags: read32(FLAGS) }
}

/** gss_channel_bindings_struct: no addresses, only the application's data. */
function bound(data: Uint8Array): Address {
  const bindings = Buffer.alloc(CHANNEL_BINDINGS.size)
  bindings.writeBigUInt64LE(BigInt(data.length), CHANNEL_BINDINGS.dataLength)
  bindings.writeBigUInt64LE(BigInt(put(data)), CHANNEL_BINDINGS.dataValue)
  return put(bindings)
}

/** A new token of a context without further steps; the context is deleted. */
export function mint(credential: Credential, target: Name, channelBindings?: Uint8Array | undefined): Buffer {
  const { context, token } = initiate(credential, target, { channelBindings })
  deleteContext(context)
  return token
}

/** The step of the acceptor, and who initiated. A context that fails is deleted. */
export function accept(credential: Credential, token: Uint8Array): Step & { readonly source: Name } {
  begin()
  const input = buffer(token)
  const major = gss.accept_sec_context(
    MINOR,
    handle(),
    credential,
    input,
    0,
    handle(SECOND),
    0,
    empty(OUTPUT),
    FLAGS,
    0,
    0,
  )
  const step = stepped('accept_sec_context', major)
  return { ...step, source: handedOver(SECOND) as Name }
}

/** Who the acceptor of a context will see. */
export function initiatorOf(context: Context): string {
  check('inquire_context', gss.inquire_context(MINOR, context, handle(), 0, 0, 0, 0, 0, 0))
  const name = handedOver() as Name
  try {
    return displayName(name)
  } finally {
    releaseName(name)
  }
}

/** Protects a message; false where it could not be encrypted as asked. */
export function wrap(context: Context, message: Uint8Array, confidential: boolean): Buffer {
  begin()
  const input = buffer(message)
  check('wrap', gss.wrap(MINOR, context, confidential ? 1 : 0, 0, input, STATE, empty(OUTPUT)))
  const wrapped = take()
  if (confidential && read32(STATE) === 0) throw new GssError('wrap', 0, 0, 'the message was not encrypted')
  return wrapped
}

/** Opens a message and says whether it was encrypted. Refuses one that was replayed, or is out of its order. */
export function unwrap(
  context: Context,
  message: Uint8Array,
): { readonly message: Buffer; readonly confidential: boolean } {
  begin()
  const input = buffer(message)
  const major = gss.unwrap(MINOR, context, input, empty(OUTPUT), STATE, 0)
  check('unwrap', major)
  const opened = take()
  if ((major & 0xffff) !== 0) throw new GssError('unwrap', major, 0, 'the message was replayed or is out of its order')
  return { message: opened, confidential: read32(STATE) !== 0 }
}

export function deleteContext(context: Context): void {
  write(HANDLE, context)
  gss.delete_sec_context(MINOR, HANDLE, 0)
}
