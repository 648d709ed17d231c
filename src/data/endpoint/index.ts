export { DialQueue } from './dial-queue.js';
export { type EndpointDeps, MotanEndpoint } from './motan-endpoint.js';
export { endpointSettings, FRAME_BYTES_MAX } from './settings.js';
