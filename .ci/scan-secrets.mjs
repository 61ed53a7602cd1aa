// Looks for secrets in what was printed. Run: node .ci/scan-secrets.mjs FILE FOLDER
// FILE holds the secrets that the test servers issued, one in each line; FOLDER the output of all steps. Says where one
// was found, and never which. Fails also where there is nothing to look for.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Shorter ones are found everywhere. */
const SHORTEST = 8

const [file, folder] = process.argv.slice(2)
const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
const secrets = new Set(lines.filter((line) => line.length >= SHORTEST))

/** The secrets by how they begin, so that a long text is read once. */
const byStart = new Map()
for (const secret of secrets) {
  const start = secret.slice(0, SHORTEST)
  byStart.set(start, [...(byStart.get(start) ?? []), secret])
}

/** The numbers of the lines of `text` that hold a secret. */
function findIn(text) {
  const found = new Set()
  let line = 1
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\n') line++
    const candidates = byStart.get(text.slice(index, index + SHORTEST)) ?? []
    if (candidates.some((secret) => text.startsWith(secret, index))) found.add(line)
  }
  return [...found]
}

const outputs = readdirSync(folder).filter((name) => join(folder, name) !== file)
let hits = 0
for (const name of outputs)
  for (const line of findIn(readFileSync(join(folder, name), 'utf8'))) {
    console.error(`a secret in the output of "${name}", line ${line}`)
    hits++
  }
if (secrets.size === 0) console.error(`there are no secrets in ${file}`)
console.log(`${secrets.size} secrets, ${outputs.length} outputs, ${hits} found`)
process.exitCode = hits === 0 && secrets.size > 0 ? 0 : 1
