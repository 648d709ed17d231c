export * from './http/index.js';
export { MotanServer, type MotanServerDeps } from './motan-server.js';
