import type { Readable } from 'node:stream'
import type { Logger } from '@mcp-delegation/core'

const MAX_LINES = 200
const MAX_LENGTH = 500
const LAST_LINES = 8
const UNPRINTABLES = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu

const printable = (line: string): string => {
  const cut = line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line
  return cut.replace(UNPRINTABLES, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/**
 * Logs what a process writes to its standard error, which is trouble, at warn: the first 200 lines, 500 characters of each, control
 * characters escaped. Reads on after that, so that the process never waits. Answers with the last lines seen.
 */
export function logStderr(stream: Readable, log: Logger): () => readonly string[] {
  const last: string[] = []
  let count = 0
  let rest = ''
  const take = (line: string): void => {
    if (line === '') return
    const text = printable(line)
    last.push(text)
    if (last.length > LAST_LINES) last.shift()
    count++
    if (count <= MAX_LINES) log.warn({ line: text }, 'the Kerberos process writes')
    else if (count === MAX_LINES + 1) log.warn({}, 'the Kerberos process writes more, which is not logged')
  }
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    // One more character than is shown, so that a longer line is seen to be cut.
    rest = (lines.pop() ?? '').slice(0, MAX_LENGTH + 1)
    for (const line of lines) take(line)
  })
  stream.on('end', () => take(rest))
  stream.on('error', () => {})
  return () => last
}
