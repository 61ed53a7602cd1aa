export type { SshGuest, SshIdentity, SshServer, SshServerOptions } from './ssh-server.ts'
export { sshServer } from './ssh-server.ts'
