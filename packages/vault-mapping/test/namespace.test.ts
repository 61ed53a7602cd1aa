import { afterEach, expect, test, vi } from 'vitest'
import { namespaceProof } from '../src/namespace.ts'
import { clientOf, never } from './fixtures/clients.ts'
import { envelope, json, refusingOrigin, type StandIn, standIn } from './fixtures/http-stand-in.ts'

const servers: StandIn[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
})

/** A server that knows the namespace `team-a`, while `up` says so. */
async function heeding(up: () => boolean = () => true): Promise<StandIn> {
  const server = await standIn((response, { headers }) => {
    if (!up()) return json(response, 503, { errors: ['Vault is sealed'] })
    if (headers['x-vault-namespace'] === 'team-a') return json(response, 200, envelope({ data: { auth: {} } }))
    json(response, 404, { errors: ['namespace not found'] })
  })
  servers.push(server)
  return server
}

test('A server that heeds the header is proven once', async () => {
  const server = await heeding()
  const prove = namespaceProof(clientOf(server.origin), 'team-a')
  await Promise.all([prove(never()), prove(never()), prove(never())])
  await prove(never())
  expect(server.received).toHaveLength(2)
  expect(server.received[0]?.headers['x-vault-namespace']).toMatch(/^unknown-[0-9a-f]{32}$/)
  expect(server.received.map(({ headers }) => headers['x-vault-token'])).toEqual([undefined, undefined])
})

test('A server that ignores the header is refused', async () => {
  const server = await standIn((response) => json(response, 200, envelope({ data: { auth: {} } })))
  servers.push(server)
  const prove = namespaceProof(clientOf(server.origin), 'team-a')
  for (let count = 0; count < 2; count++)
    await expect(prove(never())).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL', message: /ignores/ })
})

test('A namespace that the server does not know is refused', async () => {
  const server = await heeding()
  const prove = namespaceProof(clientOf(server.origin), 'team-b')
  await expect(prove(never())).rejects.toMatchObject({ code: 'ERR_DELEGATION_PROTOCOL', message: /not know/ })
})

test('An outage is an outage, and proven later', async () => {
  let isUp = false
  const server = await heeding(() => isUp)
  const prove = namespaceProof(clientOf(server.origin, { tries: 1 }), 'team-a')
  await expect(prove(never())).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  const gone = namespaceProof(clientOf(await refusingOrigin(), { tries: 1 }), 'team-a')
  await expect(gone(never())).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  isUp = true
  await prove(never())
  isUp = false
  await prove(never())
})

test('An outage between the two questions proves nothing', async () => {
  let count = 0
  const server = await heeding(() => count++ !== 1)
  const prove = namespaceProof(clientOf(server.origin, { tries: 1 }), 'team-a')
  await expect(prove(never())).rejects.toMatchObject({ code: 'ERR_DELEGATION_UNAVAILABLE' })
  await prove(never())
  expect(server.received).toHaveLength(4)
})

test('Who stops waiting leaves the others their answer', async () => {
  let answer: (() => void) | undefined
  const server = await standIn((response, { headers }) => {
    const isKnown = headers['x-vault-namespace'] === 'team-a'
    const reply = () => (isKnown ? json(response, 200, envelope()) : json(response, 404, { errors: [] }))
    if (isKnown) reply()
    else answer = reply
  })
  servers.push(server)
  const prove = namespaceProof(clientOf(server.origin), 'team-a')
  const abort = new AbortController()
  const [gone, staying] = [prove(abort.signal), prove(never())]
  await vi.waitFor(() => expect(answer).toBeDefined())
  abort.abort(new Error('gone'))
  await expect(gone).rejects.toThrow('gone')
  answer?.()
  await staying
})

test('Without a namespace there is nothing to prove', async () => {
  const server = await heeding()
  await namespaceProof(clientOf(server.origin), undefined)(never())
  expect(server.received).toEqual([])
})
