export type { ProtectOptions } from '../options.ts'
export type { ProtectedFastMcp, ProtectedTool, ToolCall } from './protect-fastmcp.ts'
export { protectFastMcp } from './protect-fastmcp.ts'
