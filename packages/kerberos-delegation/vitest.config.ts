import { project } from '../../vitest.shared.ts'

export default project('kerberos-delegation', { timed: true })
