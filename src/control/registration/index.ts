/** Dynamic registration: services and refers that programs add while the agent runs. */
export type { ProcessMark } from './leases.js';
export { DynamicRegistrations, type RegistrationDeps } from './registrations.js';
export { SnapFile } from './snap-file.js';
