export { MotanServer, type MotanServerDeps } from './motan-server.js';
