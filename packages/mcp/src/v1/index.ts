export type { ProtectOptions } from '../options.ts'
export type { ProtectedMcp, ProtectedTool, ToolCall, ToolContext } from './protect-mcp.ts'
export { protectMcp } from './protect-mcp.ts'
