import { type ParseArgsConfig, parseArgs } from 'node:util'

/** What the caller got wrong, or what can't be read: one line on standard error, and exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<Known extends Options> = ReturnType<
  typeof parseArgs<{ readonly options: Known; readonly allowPositionals: true }>
>

/**
 * Takes apart what follows the name of a command.
 * @throws UsageError where an option is not known, or lacks its value.
 */
export function readArguments<const Known extends Options>(args: readonly string[], options: Known): Parsed<Known> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (cause) {
    // Node's message goes on with advice.
    const [message = ''] = String((cause as Error).message).split(/\. |\n/)
    throw new UsageError(message, { cause })
  }
}

/** An error of the file system or of a key, in the words of the caller. */
export function unreadable(path: string, cause: unknown): UsageError {
  const { code, message } = cause as NodeJS.ErrnoException
  return new UsageError(`${path}: ${WORDS[code ?? ''] ?? code ?? message}`, { cause })
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
}
