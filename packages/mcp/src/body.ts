import { type Answer, jsonAnswer } from './answer.ts'

/** Says that the body is longer than the server reads. */
export class BodyTooLarge extends Error {}

/** The answer to it; the rest of the body is not read. */
export const TOO_LARGE: Answer = jsonAnswer(
  413,
  { jsonrpc: '2.0', error: { code: -32000, message: 'Payload Too Large' }, id: null },
  { connection: 'close' },
)

/** Undefined for what is not JSON: whoever handles the request says so. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
