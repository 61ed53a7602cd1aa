import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/** The children of this process whose command line names `program`. */
function childrenRunning(program) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, , , parent] = fieldsOf(pid)
        return parent === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(program)
      } catch {
        return false
      }
    })
}

/** The one helper process of the package that this process has, which runs `program`. */
export function helperProcess(program = 'dist/engine/main.js') {
  const [pid, another] = childrenRunning(program)
  if (pid === undefined || another !== undefined) throw new Error('there is not exactly one helper process')
  return pid
}

/** The processor time that a process has used, in microseconds, in steps of ten milliseconds. */
export function cpuOf(pid) {
  const fields = fieldsOf(pid)
  return (fields[13] + fields[14]) * (1e6 / TICKS_PER_SECOND)
}

/** The memory of this process and of another one, after garbage was collected here, in bytes. */
export function memoryWith(pid) {
  globalThis.gc()
  globalThis.gc()
  return { server: memoryOf(process.pid), helper: memoryOf(pid) }
}

/** The memory of a process that is its own and in use (RssAnon), in bytes. */
function memoryOf(pid) {
  const [, kilobytes] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(kilobytes) * 1024
}

/** The fields of proc(5)'s stat as numbers; the name of the program, which may hold anything, is none. */
function fieldsOf(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return [
    pid,
    Number.NaN,
    ...text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number),
  ]
}
