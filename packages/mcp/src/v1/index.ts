export type { ProtectOptions } from '../options.ts'
export type {
  PromptCall,
  ProtectedMcp,
  ProtectedPrompt,
  ProtectedResource,
  ProtectedTool,
  ResourceCall,
  ToolCall,
  ToolContext,
} from './protect-mcp.ts'
export { protectMcp } from './protect-mcp.ts'
