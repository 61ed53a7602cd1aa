// A helper process that asks no KDC: whoever asks for a ticket gets a copy of the one in a cache file, in a cache and
// with a credential of its own, as the package holds a ticket that has come from the KDC.
// Arguments: the file, client and service of its ticket.
import { Socket } from 'node:net'
import { encodeFrame, frameDecoder } from '../../../packages/kerberos-delegation/dist/engine/frames.js'
import { copyTicket } from '../../../packages/kerberos-delegation/dist/engine/native/credential-cache.js'
import { harden } from '../../../packages/kerberos-delegation/dist/engine/native/hardening.js'
import { holdTicket } from '../../../packages/kerberos-delegation/dist/engine/native/ticket.js'

const [path, client, service] = process.argv.slice(2)
const tickets = new Map()

function obtain({ user }) {
  const ticket = tickets.size + 1
  const cache = `MEMORY:ticket-${ticket}`
  const copied = copyTicket(`FILE:${path}`, cache, client, service)
  if (copied === undefined) throw new Error('there is no ticket to copy')
  tickets.set(ticket, holdTicket(cache, client, service))
  const facts = { client: user.name, groups: [], forwardable: true, expiresAt: copied.endsAt }
  return { ok: { ...facts, ticket } }
}

const answers = {
  start: () => ({ ok: {} }),
  obtain,
  token: ({ ticket }) => ({ ok: {}, binary: tickets.get(ticket).token(undefined) }),
  close: () => ({ ok: {} }),
}

harden()
const channel = new Socket({ fd: 3 })
const decode = frameDecoder(({ id, ...request }) => {
  const { ok, binary } = answers[request.op](request)
  channel.write(encodeFrame({ id, ok }, binary))
})
channel.on('data', decode)
channel.on('close', () => process.exit())
