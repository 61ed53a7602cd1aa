import { inspect } from 'node:util'
import { secret } from '@mcp-delegation/core'
import { fakeClock, testSession } from '@mcp-delegation/core/testing'
import { expect, test } from 'vitest'
import { envelopeOf, type VaultEnvelope } from '../../src/envelope.ts'
import { jwtLogin } from '../../src/logins/jwt-login.ts'
import { VaultError } from '../../src/vault-error.ts'
import { envelope } from '../fixtures/http-stand-in.ts'
import { contextOf } from '../fixtures/login-contexts.ts'

const accepted = envelopeOf(
  envelope({ auth: { client_token: 's.made', policies: ['p'], lease_duration: 60, renewable: true, num_uses: 0 } }),
  0,
) as VaultEnvelope
const refusal = (status: number) => new VaultError('status', `${status}`, { status, uncertain: false })

test('The user logs in with the token of the session', async () => {
  const login = jwtLogin({ role: 'mcp', mount: 'idp/jwt' })
  expect(login).toMatchObject({ type: 'jwt', as: 'user' })
  const context = contextOf(async () => accepted)
  const auth = await login.logIn(testSession({ token: secret('the.jwt.itself') }), context)
  expect(auth.token.reveal()).toBe('s.made')
  expect(context.posted).toEqual([{ path: 'auth/idp/jwt/login', body: { role: 'mcp', jwt: 'the.jwt.itself' } }])
})

test('A session without a token is denied', async () => {
  const context = contextOf(async () => accepted)
  const login = jwtLogin({ role: 'mcp' }).logIn(testSession({ token: undefined }), context)
  await expect(login).rejects.toMatchObject({ code: 'ERR_DELEGATION_DENIED' })
  expect(context.posted).toEqual([])
})

test('A refusal is an outage at first, not asked again too soon, and the configuration later', async () => {
  const clock = fakeClock()
  const session = testSession()
  const login = jwtLogin({ role: 'mcp' })
  let answer: () => Promise<VaultEnvelope> = () => Promise.reject(refusal(400))
  const context = contextOf(() => answer(), { clock })
  const attempt = () => login.logIn(session, context).catch((error: unknown) => error)

  const first = await attempt()
  expect(first).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE', retryAfter: new Date(clock.now() + 1_000) })
  expect(await attempt()).toMatchObject({
    code: 'ERR_DELEGATION_UNAVAILABLE',
    retryAfter: new Date(clock.now() + 1_000),
  })
  expect(context.posted).toHaveLength(1)
  clock.tick(1_000)
  await attempt()
  expect(context.posted).toHaveLength(2)
  // Another token of the user may be a better one.
  await login.logIn(testSession(), context).catch(() => {})
  expect(context.posted).toHaveLength(3)
  clock.tick(29_000)
  expect(await attempt()).toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL', cause: { status: 400 } })
  expect(inspect(first)).not.toContain(session.token?.reveal())

  clock.tick(15_000)
  answer = async () => accepted
  expect(await attempt()).toBe(accepted.auth)
  answer = () => Promise.reject(refusal(400))
  expect(await attempt()).toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
})

test('What is no refusal of the token is not taken for one', async () => {
  const login = jwtLogin({ role: 'mcp' })
  const session = testSession()
  for (const error of [refusal(500), refusal(429), new VaultError('late', 'late', { uncertain: true })])
    await expect(
      login.logIn(
        session,
        contextOf(() => Promise.reject(error)),
      ),
    ).rejects.toBe(error)
  for (const status of [403, 404]) {
    const context = contextOf(() => Promise.reject(refusal(status)))
    await expect(login.logIn(session, context)).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  }
  await login.logIn(
    session,
    contextOf(async () => accepted),
  )
})

test('A login that gives no token to work with is refused', async () => {
  const auth = { client_token: 's.made', lease_duration: 60, renewable: true, policies: ['p'], num_uses: 0 }
  for (const given of [null, { ...auth, num_uses: 2 }, { ...auth, policies: ['root'] }]) {
    const context = contextOf(async () => envelopeOf(envelope({ auth: given }), 0) as VaultEnvelope)
    const login = jwtLogin({ role: 'mcp' }).logIn(testSession(), context)
    await expect(login).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL' })
  }
})
