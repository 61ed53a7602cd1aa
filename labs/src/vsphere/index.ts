export { isAvailable } from '../required.ts'
export type { LoggedIn, Login, VcenterEvent, VcenterLab, VcenterOptions } from './vcenter.ts'
export { missing, vcenter } from './vcenter.ts'
