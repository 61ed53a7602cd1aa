import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import type { Login, VcenterLab } from '../../src/vsphere/index.ts'

/** What vCenter answered: the HTTP status, the body, and the cookie that it sent or was sent. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly cookie: string | undefined
}

/** Sends a request of the vSphere API, in a session where `cookie` names one. */
export function soap({ address, ca }: VcenterLab, body: string, cookie?: string): Promise<Answer> {
  const envelope = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>${body}</Body></Envelope>`
  const headers = { 'content-type': 'text/xml', ...(cookie === undefined ? {} : { cookie }) }
  return new Promise((resolve, reject) => {
    const made = request(`${address}/sdk`, { method: 'POST', ca: readFileSync(ca), headers, agent: false })
    made.on('error', reject)
    made.on('response', async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      const sent = response.headers['set-cookie']?.[0]?.split(';')[0]
      resolve({ status: response.statusCode ?? 0, body: text, cookie: sent ?? cookie })
    })
    made.end(envelope)
  })
}

/** Logs in. */
export function login(lab: VcenterLab, { username, password }: Login): Promise<Answer> {
  return soap(
    lab,
    `<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this><userName>${username}</userName><password>${password}</password></Login>`,
  )
}

/** A request that takes a session. */
export function currentTime(lab: VcenterLab, cookie: string | undefined): Promise<Answer> {
  return soap(
    lab,
    '<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>',
    cookie,
  )
}
