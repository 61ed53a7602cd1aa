const MAX_LENGTH = 300
const MIN_SECRET = 8
/** What looks like a token of ours or of Vault's, whoever it belongs to. */
const TOKENS = /eyJ[\w-]+(?:\.[\w-]*)*|\bhv[a-z]{1,3}\.[\w.-]+|\b[sbr]\.[A-Za-z0-9]{24,}(?:\.\w+)?/g
const CUT = '[cut out]'

/** What a request holds that no text may repeat. */
export interface RequestSecrets {
  readonly token: string | undefined
  readonly body: Readonly<Record<string, unknown>> | undefined
}

/**
 * What the server said went wrong, for an operator to read: one bounded line of printable ASCII, without whatever looks
 * like a token or was part of the request, but for the name of its role.
 */
export function serverTexts(errors: readonly string[], { token, body = {} }: RequestSecrets): string {
  let text = errors.join('; ')
  const given = Object.entries(body).flatMap(([name, value]) => (name === 'role' ? [] : [value]))
  for (const value of [token, ...given])
    if (typeof value === 'string' && value.length >= MIN_SECRET) text = text.replaceAll(value, CUT)
  return plain(text.replace(TOKENS, CUT).replace(/\s+/g, ' ').trim())
}

/** Escapes all but printable ASCII, and cuts what is too long. */
export function plain(text: string): string {
  const cut = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}...` : text
  return cut.replace(/[^\x20-\x7e]/g, (unit) => `\\u{${unit.charCodeAt(0).toString(16)}}`)
}
