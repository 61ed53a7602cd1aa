import { Agent, request } from 'node:https'
import { VcenterError, type VcenterErrorCode, type VcenterErrorOptions } from './vcenter-error.ts'
import { all, type Content, child, parseXml, tag, type Xml, type XmlElement } from './xml.ts'

/** A managed object: its type and its id. */
export interface Ref {
  readonly type: string
  readonly id: string
}

/** What vCenter answered to a call. */
export interface Answer {
  /** The element `…Response`. */
  readonly response: XmlElement
  /** The session's cookie, where it sent one. */
  readonly cookie: string | undefined
}

/** Sends a call of a managed object's method. */
export type Send = (
  method: string,
  self: Ref,
  parts: readonly Xml[],
  options: { readonly cookie?: string | undefined; readonly signal?: AbortSignal | undefined },
) => Promise<Answer>

/** How {@link transport} reaches the server. */
export interface TransportOptions {
  readonly url: URL
  readonly ca: string | undefined
  readonly timeout: number
}

/** How much of an answer is read, in bytes: some ten thousand machines. */
const MAX_ANSWER = 32 * 2 ** 20
const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/'
const INSTANCE = 'http://www.w3.org/2001/XMLSchema-instance'
/** The release of the API whose calls are sent; later ones take them too. */
const ACTION = 'urn:vim25/6.7'
/** What the fault means for the caller; all others are `ERR_VCENTER_FAULT`. */
const FAULTS: Readonly<Record<string, VcenterErrorCode>> = {
  InvalidLogin: 'ERR_VCENTER_LOGIN',
  NoClientCertificate: 'ERR_VCENTER_LOGIN',
  NotAuthenticated: 'ERR_VCENTER_NOT_AUTHENTICATED',
  NoPermission: 'ERR_VCENTER_DENIED',
  ManagedObjectNotFound: 'ERR_VCENTER_NOT_FOUND',
}

/** An element that names a managed object. */
export function reference(name: string, { type, id }: Ref): Xml {
  return tag(name, id, { type })
}

/** The managed object that an element names. */
export function refOf(element: XmlElement | undefined): Ref | undefined {
  const type = element?.attributes.get('type')
  return element === undefined || type === undefined ? undefined : { type, id: element.text }
}

/** An element whose type is one that its place does not say. */
export function typed(name: string, type: string, content: Content): Xml {
  return tag(name, content, { 'xsi:type': type })
}

/** A fault as an error. */
export function faultError(fault: string | undefined, what: string): VcenterError {
  const name = fault !== undefined && /^[A-Z]\w{0,99}$/.test(fault) ? fault : 'unknown'
  return new VcenterError(FAULTS[name] ?? 'ERR_VCENTER_FAULT', `vCenter refused ${what}: ${name}`, { fault: name })
}

/** SOAP over TLS. */
export function transport({ url, ca, timeout }: TransportOptions): { readonly send: Send; readonly close: () => void } {
  const agent = new Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) })
  const send: Send = async (method, self, parts, { cookie, signal }) => {
    const call = tag(method, [reference('_this', self), ...parts], { xmlns: 'urn:vim25' })
    const body = tag('soap:Envelope', tag('soap:Body', call), { 'xmlns:soap': SOAP, 'xmlns:xsi': INSTANCE })
    const answer = await post(agent, url, `<?xml version="1.0" encoding="UTF-8"?>${body.xml}`, {
      method,
      cookie,
      signal,
      timeout,
    })
    return { response: responseOf(answer, method), cookie: answer.cookie }
  }
  return { send, close: () => agent.destroy() }
}

interface Posted {
  readonly status: number
  readonly body: string
  readonly cookie: string | undefined
}

interface PostOptions {
  readonly method: string
  readonly cookie: string | undefined
  readonly signal: AbortSignal | undefined
  readonly timeout: number
}

function post(agent: Agent, url: URL, body: string, options: PostOptions): Promise<Posted> {
  const { method, cookie, signal, timeout } = options
  const headers = {
    'content-type': 'text/xml; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    soapaction: ACTION,
    ...(cookie === undefined ? {} : { cookie }),
  }
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const made = request(new URL('/sdk', url), { method: 'POST', agent, headers })
    const abort = (): void => end(() => reject(signal?.reason))
    let begun = false
    const lost = (why: string, cause?: unknown): void => end(() => reject(unavailable(method, why, { begun, cause })))
    const timer = setTimeout(() => lost('no answer in time'), timeout)
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      settle()
      made.destroy()
    }
    signal?.addEventListener('abort', abort, { once: true })
    made.on('error', (cause: NodeJS.ErrnoException) => lost(`no answer (${cause.code ?? 'broken off'})`, cause))
    made.on('socket', (socket) => {
      begun = made.reusedSocket
      if (!begun)
        socket.once('secureConnect', () => {
          begun = true
        })
    })
    made.on('response', (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_ANSWER) end(() => reject(protocol(method, 'too long an answer')))
        else chunks.push(chunk)
      })
      response.on('error', (cause) => lost('half an answer', cause))
      response.on('end', () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        const status = response.statusCode ?? 0
        resolve({
          status,
          body: Buffer.concat(chunks).toString('utf8'),
          cookie: cookieOf(response.headers['set-cookie']),
        })
      })
    })
    made.end(body)
  })
}

/** The session's cookie as it is sent back: name and value. */
function cookieOf(headers: readonly string[] | undefined): string | undefined {
  return headers?.map((header) => header.split(';')[0]).find((pair) => pair?.startsWith('vmware_soap_session='))
}

function responseOf({ status, body }: Posted, method: string): XmlElement {
  if (status !== 200 && status !== 500) {
    if (status >= 502 && status <= 504) throw unavailable(method, `HTTP status ${status}`, { begun: true })
    throw protocol(method, `HTTP status ${status}`)
  }
  let envelope: XmlElement
  try {
    envelope = parseXml(body)
  } catch {
    throw protocol(method, 'not XML')
  }
  const [content] = child(envelope, 'Body')?.children ?? []
  if (content?.name === 'Fault') {
    const [detail] = child(content, 'detail')?.children ?? []
    throw faultError(faultOf(detail), method)
  }
  if (status !== 200 || content?.name !== `${method}Response`) throw protocol(method, 'another answer')
  return content
}

/** The name of a fault, which is the type of the element that tells of it. */
export function faultOf(element: XmlElement | undefined): string | undefined {
  return element?.attributes.get(':type')?.replace(/^.*:/, '') ?? element?.name.replace(/Fault$/, '')
}

function unavailable(method: string, why: string, options: VcenterErrorOptions): VcenterError {
  return new VcenterError('ERR_VCENTER_UNAVAILABLE', `vCenter can't be reached for ${method}: ${why}`, options)
}

function protocol(method: string, why: string): VcenterError {
  const message = `vCenter answered ${method} in no way that it should: ${why}`
  return new VcenterError('ERR_VCENTER_PROTOCOL', message, { begun: true })
}

/** The elements `returnval` of an answer. */
export function returned({ response }: Answer): readonly XmlElement[] {
  return all(response, 'returnval')
}
