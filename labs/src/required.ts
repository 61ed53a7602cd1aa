import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where `name` is: on PATH, or in the folders of administrators' programs, which users have not on theirs. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** The first path that fits; a folder named `*` stands for any one, as that of the machine's architecture. */
export function findPath(pattern: string): string | undefined {
  const [before = '', after] = pattern.split('*')
  if (after === undefined) return existsSync(pattern) ? pattern : undefined
  const names = existsSync(before) ? readdirSync(before) : []
  return names.map((name) => before + name + after).find((path) => existsSync(path))
}

/**
 * What of a lab's needs this machine lacks, in sentences; nothing where all is there.
 * @param table the path of a JSON file: Debian packages, by each a program or a path that shows that it is installed.
 */
export function missingPackages(table: string): readonly string[] {
  const packages = Object.entries(JSON.parse(readFileSync(table, 'utf8')) as Record<string, string>)
  const lacking = packages.filter(
    ([, proof]) => (proof.includes('/') ? findPath(proof) : findProgram(proof)) === undefined,
  )
  if (lacking.length === 0) return []
  const names = lacking.map(([name]) => name).join(' ')
  return [`missing, on Debian as root: apt-get install --no-install-recommends ${names}`]
}

/**
 * For tests: whether `what` can be had, given the sentences about what it lacks. Where it can't, says so on standard
 * error, for the tests that are skipped.
 * @throws Error where it can't, and `REQUIRE_REAL` is `1`.
 */
export function isAvailable(what: string, lacking: readonly string[]): boolean {
  if (lacking.length === 0) return true
  const reason = `${what} is not there: ${lacking.join('; ')}`
  if (process.env['REQUIRE_REAL'] === '1') throw new Error(reason)
  process.stderr.write(`SKIPPED: ${reason}\n`)
  return false
}

/**
 * For tests of the privileged tier, whose names hold `(privileged)`: as {@link isAvailable}, but where only privileges
 * are lacking, no test fails for it.
 */
export function isPrivileged(what: string, privileges: readonly string[], lacking: readonly string[]): boolean {
  if (privileges.length === 0) return isAvailable(what, lacking)
  process.stderr.write(`SKIPPED: ${what} (privileged): ${privileges.join('; ')}\n`)
  return false
}
