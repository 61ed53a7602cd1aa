import { administer } from './administer.ts'
import { hosts } from './hosts.ts'
import { inspect } from './inspect.ts'
import { lifecycle } from './lifecycle.ts'
import { power } from './power.ts'
import type { Tool } from './tool.ts'

export type { Desk } from './tool.ts'
export { refusal } from './tool.ts'

/** Every tool of the server. */
export const tools: readonly Tool[] = [...inspect, ...power, ...lifecycle, ...hosts, ...administer]
