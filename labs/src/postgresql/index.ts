export type { Login, PostgreSql } from './postgresql.ts'
export { postgresql } from './postgresql.ts'
