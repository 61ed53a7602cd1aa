export type { ProtectOptions } from '../options.ts'
export type {
  LoadCall,
  ProtectedFastMcp,
  ProtectedPrompt,
  ProtectedResource,
  ProtectedResourceTemplate,
  ProtectedTool,
  ToolCall,
} from './protect-fastmcp.ts'
export { protectFastMcp } from './protect-fastmcp.ts'
