export type { ProtectOptions } from './options.ts'
export type {
  PromptCall,
  PromptResult,
  ProtectedMcp,
  ProtectedPrompt,
  ProtectedResource,
  ProtectedTool,
  RequestStateOptions,
  ResourceCall,
  ResourceResult,
  ToolCall,
  ToolResult,
} from './protect-mcp.ts'
export { protectMcp } from './protect-mcp.ts'
