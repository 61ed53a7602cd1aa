/** What the gate answers itself; each kind of server writes it in its own way. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** An answer with a JSON body. */
export function jsonAnswer(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return Object.freeze({
    status,
    headers: Object.freeze({ 'content-type': 'application/json', ...headers }),
    body: JSON.stringify(body),
  })
}

/** The same answer with more headers. */
export function withHeaders(answer: Answer, headers: Readonly<Record<string, string>> | undefined): Answer {
  return headers === undefined ? answer : { ...answer, headers: { ...answer.headers, ...headers } }
}

/** The answer as a web-standard response. Some servers' own `Response` writes to the headers that it is given. */
export function toResponse({ status, headers, body }: Answer): Response {
  return new Response(body ?? null, { status, headers: { ...headers } })
}
