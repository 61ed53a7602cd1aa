// Passes connections on, and counts them; a process of its own, so that it takes no time of the one that is measured.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** Starts it in front of `address`, at the same host: the certificate of the server is good for both. */
export async function startCountingProxy(address) {
  const { hostname, port } = new URL(address)
  const child = fork(fileURLToPath(import.meta.url), [hostname, port], { execArgv: [] })
  const [own] = await once(child, 'message')
  return {
    address: `https://${hostname}:${own}`,
    /** How many connections there have been, and how many at once at most. */
    async counts() {
      child.send('counts')
      const [counts] = await once(child, 'message')
      return counts
    },
    end: () => child.kill(),
  }
}

async function serve(host, port) {
  const counts = { all: 0, open: 0, most: 0 }
  const server = createServer({ noDelay: true }, (socket) => {
    counts.all++
    counts.most = Math.max(counts.most, ++counts.open)
    const onward = connect({ host, port: Number(port), noDelay: true })
    const end = () => {
      socket.destroy()
      onward.destroy()
    }
    socket.on('error', end).on('close', () => {
      counts.open--
      end()
    })
    onward.on('error', end).on('close', end)
    socket.pipe(onward).pipe(socket)
  })
  server.listen(0, host)
  await once(server, 'listening')
  process.on('message', () => process.send(counts))
  process.send(server.address().port)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv[2], process.argv[3])
