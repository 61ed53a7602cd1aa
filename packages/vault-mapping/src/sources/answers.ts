import { DelegationError } from '@mcp-delegation/core'
import type { VaultEnvelope } from '../envelope.ts'
import type { Template } from '../paths.ts'
import { VaultError } from '../vault-error.ts'
import { type EngineLease, leaseOf } from './source.ts'

const MAX_NAME = 255
const UNCLEAN = /[\p{C}\p{Zl}\p{Zp}]/u

/** The members of an answer's data. */
export type Data = Readonly<Record<string, unknown>>

/** @throws DelegationError `ERR_DELEGATION_PROTOCOL`. */
export function dataOf({ data }: VaultEnvelope): Data {
  if (data === undefined) throw protocol('Vault answered without data')
  return data
}

/**
 * A name of an account that a backend sees: clean text of 1 to 255 bytes.
 * @throws DelegationError `ERR_DELEGATION_PROTOCOL` naming the field.
 */
export function nameIn(data: Data, field: string): string {
  const name = textIn(data, field)
  if (UNCLEAN.test(name) || Buffer.byteLength(name) > MAX_NAME)
    throw protocol(`the field "${field}" of Vault's answer is no name`)
  return name
}

/** @throws DelegationError `ERR_DELEGATION_PROTOCOL` naming the field. */
export function textIn(data: Data, field: string): string {
  const text = Object.hasOwn(data, field) ? data[field] : undefined
  if (typeof text !== 'string' || text === '') throw protocol(`Vault's answer has no text in the field "${field}"`)
  return text
}

/** A duration in milliseconds. @throws DelegationError `ERR_DELEGATION_PROTOCOL` naming the field. */
export function secondsIn(data: Data, field: string): number {
  const seconds = Object.hasOwn(data, field) ? data[field] : undefined
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= 2 ** 32))
    throw protocol(`Vault's answer has no duration in the field "${field}"`)
  return seconds * 1_000
}

/** @throws DelegationError `ERR_DELEGATION_PROTOCOL` where nothing was leased. */
export function leaseIn(envelope: VaultEnvelope): EngineLease {
  const lease = leaseOf(envelope)
  if (lease === undefined) throw protocol('Vault made a credential without a lease')
  return lease
}

/**
 * What an engine's error means. Engines answer 400, or 404, for a role that they do not know: where it is the user's own,
 * the user has none; else somebody misspelled it. Neither says that the administrator has no entry for the user.
 */
export function roleFailure(error: unknown, role: Template): unknown {
  if (!hasStatus(error, 400) && !hasStatus(error, 404)) return error
  return role.perUser
    ? denied('Vault has no role for the caller', error)
    : protocol('Vault does not know the role', error)
}

/** Whether `error` is an answer of the server with this status. */
export function hasStatus(error: unknown, status: number): error is VaultError {
  return error instanceof VaultError && error.kind === 'status' && error.status === status
}

/**
 * Whether `error` says that there is nothing at a path, and no more: with an envelope there was something, and with a reason
 * the mount or the namespace is not there.
 */
export function isAbsence(error: unknown): boolean {
  return hasStatus(error, 404) && error.envelope() === undefined && error.reasons === 0
}

export function denied(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_DENIED', message, { cause })
}

/** Vault has no entry for the user: another module may be asked. */
export function noIdentity(cause: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_NO_IDENTITY', 'Vault has no secret for the caller', { cause })
}

export function unavailable(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_UNAVAILABLE', message, { cause })
}

export function protocol(message: string, cause?: unknown): DelegationError {
  return new DelegationError('ERR_DELEGATION_PROTOCOL', message, { cause })
}
