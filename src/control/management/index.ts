export type { ManagementAddress } from './listen.js';
export { createManagementServer, type ManagementOptions, type ManagementServer } from './server.js';
export { Switchers } from './switchers.js';
export { readManagementToken } from './token.js';
