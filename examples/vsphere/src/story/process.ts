import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Narrator } from '@mcp-delegation/labs/story'

type Environment = Readonly<Record<string, string>>

/** The server as it runs in production: a process that its environment configures. */
export async function tellProcess({ chapter, say, expect }: Narrator, environment: Environment): Promise<void> {
  chapter('7. The server starts as a process of its own.')
  const { MCP_URL: _, ...incomplete } = environment
  const refused = await start(incomplete)
  const [refusedWith] = await refused.ended
  say(`without MCP_URL it says: ${refused.said().trim()}`)
  expect('it does not start without a setting, and says in one line which', refusedWith === 1)
  expect('that line names it', refused.said() === "can't start: MCP_URL must be set\n")

  const server = await start(environment)
  const [, port] = /listening on port (\d+)/.exec(server.said()) ?? []
  const status = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}${path}`)).status
  const [health, ready, open] = [await status('/healthz'), await status('/readyz'), await status('/mcp')]
  server.child.kill('SIGTERM')
  const [endedWith] = await server.ended
  say(
    `with all settings: /healthz ${health}, /readyz ${ready}, /mcp without a token ${open}; after SIGTERM: ${endedWith}`,
  )
  expect(
    'it says that it lives and is ready, and answers nobody without a token',
    `${health} ${ready} ${open}` === '200 200 401',
  )
  expect('it ends in order', endedWith === 0)
  expect('it prints nothing on standard output', refused.printed() + server.printed() === '')
}

/** Starts the server, and waits until it listens or has ended. */
async function start(environment: Environment) {
  const program = fileURLToPath(new URL('../server.js', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [program], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Also where the story is interrupted.
  process.once('exit', () => child.kill())
  const ended = once(child, 'close') as Promise<[number | null]>
  const output = { printed: '', said: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.printed += text
  })
  await new Promise<void>((resolve) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.said += text
      if (output.said.includes('listening on port')) resolve()
    })
    child.on('close', () => resolve())
  })
  return { child, ended, printed: () => output.printed, said: () => output.said }
}
