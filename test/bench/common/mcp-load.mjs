import { Agent, request } from 'node:http'

const ERAS = {
  '2026-07-28': {
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'total' },
    meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
  '2025-11-25': { headers: { 'mcp-protocol-version': '2025-11-25' }, meta: undefined },
}

/** Calls the tool `total` of a server `calls` times, over one kept connection for each of `tokens`, all at once. */
export async function load(port, tokens, calls, era) {
  let left = calls
  await Promise.all(
    tokens.map(async (token) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      while (left-- > 0) await call(port, agent, token, left, ERAS[era])
      agent.destroy()
    }),
  )
}

function call(port, agent, token, id, { headers, meta }) {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'total', arguments: { month: '2026-03' }, ...(meta && { _meta: meta }) },
  })
  const options = {
    host: '127.0.0.1',
    port,
    agent,
    method: 'POST',
    path: '/mcp',
    headers: {
      ...headers,
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
  }
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        if (response.statusCode === 200 && text.includes('the total of 2026-03 is 42')) resolve()
        else reject(new Error(`${response.statusCode}: ${text}`))
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
