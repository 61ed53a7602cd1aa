export type { ProtectOptions } from './options.ts'
export type { ProtectedMcp, ProtectedTool, RequestStateOptions, ToolCall, ToolResult } from './protect-mcp.ts'
export { protectMcp } from './protect-mcp.ts'
