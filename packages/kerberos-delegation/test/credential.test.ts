import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DelegationError, type Loan } from '@mcp-delegation/core'
import { testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { TicketCredential } from '../src/credential.ts'
import { EngineError, type Ticket } from '../src/engine/engine.ts'

// What no real engine can be made to do at will: to answer late, in another order, or with an error of choice.

const facts = {
  client: 'alice@CORP.EXAMPLE',
  account: 'alice',
  sid: 'S-1-5-21-1-2-3-1104',
  groups: ['S-1-5-21-1-2-3-513'],
  forwardable: true,
  expiresAt: Date.now() + 3_600_000,
}

function ticket(members: Partial<Ticket> = {}): Ticket & { readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    facts,
    usable: true,
    token: async () => Buffer.from('token'),
    context: async () => ({
      token: Buffer.from('first'),
      done: false,
      step: async () => new Uint8Array(),
      wrap: async (message) => message,
      unwrap: async (message) => message,
      close: async () => void calls.push('close'),
    }),
    exportTo: async (path) => writeFileSync(path, 'ticket', { mode: 0o600, flag: 'wx' }),
    remove: async () => {},
    release: async () => void calls.push('release'),
    ...members,
  }
}

function loan(recordExport: Loan['recordExport'] = async () => {}) {
  const controller = new AbortController()
  const { signal } = controller
  return {
    loan: { session: testSession(), expiresAt: new Date(facts.expiresAt), signal, recordExport },
    end: () => controller.abort(),
  }
}

const made = (given: Ticket, mayExport = true): TicketCredential =>
  new TicketCredential(given, 'HTTP/backend.corp.example', 'HTTP/backend.corp.example@CORP.EXAMPLE', {
    mayExport: () => mayExport,
    failure: (error) => new DelegationError('ERR_DELEGATION_UNAVAILABLE', `engine: ${error.kind}`, { cause: error }),
  })

test('a failure of the engine becomes the error of the framework', async () => {
  const lost = async () => {
    throw new EngineError('lost', 'gone')
  }
  const value = made(ticket({ token: lost, context: lost, exportTo: lost })).value(loan().loan)
  for (const use of [value.negotiate(), value.context(), value.exportCredentialCache()])
    await expect(use).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', message: 'engine: lost' })
})

test('a token that arrives after the end of the lease is not handed out', async () => {
  const { loan: lent, end } = loan()
  let answer = (_token: Buffer): void => {}
  const token = new Promise<Buffer>((resolve) => {
    answer = resolve
  })
  const negotiating = made(ticket({ token: () => token }))
    .value(lent)
    .negotiate()
  end()
  answer(Buffer.from('late'))
  await expect(negotiating).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
})

test('a context that is made after the end of the lease is closed', async () => {
  const { loan: lent, end } = loan()
  const given = ticket()
  const { context: make } = given
  const value = made({
    ...given,
    context: async (...args) => {
      end()
      return await make(...args)
    },
  }).value(lent)
  const context = await value.context()
  await expect(context.step()).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  await expect.poll(() => given.calls).toEqual(['close'])
})

test('what a context answers after the end of the lease is not handed out', async () => {
  for (const use of ['step', 'wrap', 'unwrap'] as const) {
    const { loan: lent, end } = loan()
    const given = ticket()
    const late = async (message: Uint8Array): Promise<Uint8Array> => {
      end()
      return message
    }
    const value = made({
      ...given,
      context: async (...args) => ({ ...(await given.context(...args)), [use]: late }),
    }).value(lent)
    const context = await value.context({ security: 'integrity' })
    await context.step()
    await expect(context[use](new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  }
})

test('a cache that is written after the end of the lease is removed', async () => {
  const { loan: lent, end } = loan()
  const paths: string[] = []
  const value = made(
    ticket({
      exportTo: async (path) => {
        paths.push(path)
        end()
        writeFileSync(path, 'ticket')
      },
    }),
  ).value(lent)
  await expect(value.exportCredentialCache()).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  expect(paths.map((path) => existsSync(dirname(path)))).toEqual([false])
})

test('a release removes a cache that is being written, then gives the ticket back', async () => {
  const paths: string[] = []
  const given = ticket()
  const credential = made({
    ...given,
    exportTo: async (path) => {
      paths.push(path)
      await credential.release()
      writeFileSync(path, 'ticket')
    },
  })
  await expect(credential.value(loan().loan).exportCredentialCache()).rejects.toThrow()
  expect(paths.map((path) => existsSync(dirname(path)))).toEqual([false])
  expect(given.calls).toEqual(['release'])
})

test('an export is recorded before anything is written', async () => {
  const folders = readdirSync('/dev/shm')
  const { loan: lent } = loan(async () => {
    throw new DelegationError('ERR_AUDIT_FAILED', 'no')
  })
  const written: string[] = []
  const value = made(ticket({ exportTo: async (path) => void written.push(path) })).value(lent)
  await expect(value.exportCredentialCache()).rejects.toMatchObject({ code: 'ERR_AUDIT_FAILED' })
  expect(written).toEqual([])
  expect(readdirSync('/dev/shm')).toEqual(folders)
})

test('nothing is exported outside a lease', async () => {
  await expect(made(ticket()).value().exportCredentialCache()).rejects.toMatchObject({
    code: 'ERR_DELEGATION_INVALID_REQUEST',
  })
})

test('the first step of a context gives its first token, and only then the context may be done', async () => {
  const given = ticket()
  const { context: make } = given
  const value = made({ ...given, context: async (...args) => ({ ...(await make(...args)), done: true }) }).value(
    loan().loan,
  )
  const context = await value.context()
  expect(context.done).toBe(false)
  await expect(context.step(Buffer.from('reply'))).rejects.toMatchObject({ code: 'ERR_DELEGATION_INVALID_REQUEST' })
  expect(Buffer.from(await context.step()).toString()).toBe('first')
  expect(context.done).toBe(true)
  await context[Symbol.asyncDispose]()
  await context[Symbol.asyncDispose]()
  await expect(context.wrap(Buffer.from('x'))).rejects.toMatchObject({ code: 'ERR_DELEGATION_INVALID_REQUEST' })
  expect(given.calls).toEqual(['close'])
})

test('what is no channel binding, no message and no kind of security is refused', async () => {
  const value = made(ticket()).value(loan().loan)
  const invalid = { code: 'ERR_DELEGATION_INVALID_REQUEST' }
  for (const channelBindings of ['tls-unique:', new Uint8Array(), new Uint8Array(70_000)] as never[])
    await expect(value.negotiate({ channelBindings })).rejects.toMatchObject(invalid)
  await expect(value.context({ security: 'privacy' as never })).rejects.toMatchObject(invalid)
  const context = await value.context({ security: 'confidentiality' })
  await context.step()
  await expect(context.step()).rejects.toMatchObject(invalid)
  await expect(context.wrap('text' as never)).rejects.toMatchObject(invalid)
  await expect(context.wrap(new Uint8Array(), { security: 'privacy' as never })).rejects.toMatchObject(invalid)
})

test('a message is protected as the context is, or less where that is said, and never more', async () => {
  const encrypted: boolean[] = []
  const given = ticket()
  const { context: make } = given
  const protect = async (message: Uint8Array, how: boolean) => {
    encrypted.push(how)
    return message
  }
  const value = made({
    ...given,
    context: async (...args) => ({ ...(await make(...args)), wrap: protect, unwrap: protect }),
  }).value(loan().loan)
  const x = new Uint8Array(1)
  const strong = await value.context({ security: 'confidentiality' })
  for (const security of [undefined, 'confidentiality', 'integrity'] as const) {
    await strong.wrap(x, { security })
    await strong.unwrap(x, { security })
  }
  const weak = await value.context({ security: 'integrity' })
  await weak.wrap(x)
  await weak.unwrap(x)
  expect(encrypted).toEqual([true, true, true, true, false, false, false, false])
  await expect(weak.wrap(x, { security: 'confidentiality' })).rejects.toMatchObject({
    code: 'ERR_DELEGATION_INVALID_REQUEST',
  })
})
