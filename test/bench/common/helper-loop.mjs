// A helper process that does not make one token when it is asked for one, but as many as it is told in place of channel
// bindings, and answers with the time that it took. All else is the package's own.
import { Socket } from 'node:net'
import { encodeFrame, frameDecoder } from '../../../packages/kerberos-delegation/dist/engine/frames.js'
import { harden } from '../../../packages/kerberos-delegation/dist/engine/native/hardening.js'
import { requests } from '../../../packages/kerberos-delegation/dist/engine/requests.js'
import { timed } from './measure.mjs'

harden()
const channel = new Socket({ fd: 3 })
const report = (problem) => process.stderr.write(`${problem}\n`)
const files = { add() {}, remove() {} }
const answer = requests({ files, now: Date.now, report, onCrash: report })

/** As many tokens as `calls`, each for a request like those that arrive. */
function loop(request, calls) {
  const nothing = Buffer.alloc(0)
  return timed(() => {
    for (let call = 0; call < calls; call++)
      if (answer(request, nothing).binary.length === 0) throw new Error('no token')
  })
}

async function answerTo({ id, ...request }, binary) {
  if (request.op === 'token') {
    const times = await loop(request, Number(binary.toString()))
    return encodeFrame({ id, ok: {} }, Buffer.from(JSON.stringify(times)))
  }
  const { ok, binary: rest } = await answer(request, binary)
  return encodeFrame({ id, ok }, rest)
}

/** The parent takes a process that ends for one that failed. */
function fail(error) {
  report(error.stack)
  process.exit(1)
}

const decode = frameDecoder((message, binary) => {
  answerTo(message, binary).then((frame) => channel.write(frame), fail)
})
channel.on('data', decode)
channel.on('close', () => process.exit())
