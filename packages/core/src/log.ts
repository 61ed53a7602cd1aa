/** Four methods of pino's shape. The library is silent where none is passed. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const ignore = (): void => {}

/** A logger that drops everything. */
export const silentLog: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
