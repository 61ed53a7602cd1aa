// Writes to a sealed log, eight records at a time, and prints each record's subject once it is accepted. Built packages
// only: it is killed, so it must be a process of its own.
import { writeSync } from 'node:fs'
import { fileAudit, fileCheckpoints } from '@mcp-delegation/core'

const [path, key, run] = process.argv.slice(2)
const audit = fileAudit(path, {
  maxSize: 65_536,
  seal: { key: Buffer.from(key, 'base64').toString(), records: 20, witness: fileCheckpoints(`${path}.checkpoints`) },
})
let count = 0
async function write() {
  for (;;) {
    const subject = `${run}-${count++}`
    await audit({
      event: 'tool',
      outcome: 'ok',
      at: new Date(),
      issuer: 'i',
      subject,
      padding: 'x'.repeat(count % 900),
    })
    writeSync(1, `${subject}\n`)
  }
}
await Promise.all(Array.from({ length: 8 }, write))
