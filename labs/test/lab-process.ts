import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What `npm test` builds before it runs the tests, as the command line starts it. */
export interface LabProcess {
  /** All that it printed until it was ready. */
  readonly printed: string
  /** The commands that it printed after `title`. */
  commands(title: string): readonly string[]
  /** Ends it by SIGTERM; resolves with its exit status and signal. */
  end(): Promise<unknown[]>
}

/** Starts the lab whose folder is `name`, and waits until it says how to end it. */
export async function labProcess(name: string): Promise<LabProcess> {
  const main = fileURLToPath(new URL(`../dist/${name}/main.js`, import.meta.url))
  const lab = spawn(process.execPath, [main], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(lab, 'exit')
  let printed = ''
  for await (const chunk of lab.stdout.setEncoding('utf8')) {
    printed += chunk
    if (printed.includes('Ctrl-C ends it.')) break
  }
  return {
    printed,
    commands: (title) => printed.slice(printed.indexOf(title)).match(/^ {2}\S.*$/gm) ?? [],
    end: () => {
      lab.kill('SIGTERM')
      return exit
    },
  }
}
