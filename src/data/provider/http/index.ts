export type { HttpProviderDeps } from './backend.js';
export { createHttpProvider, createHttpxProvider } from './http-provider.js';
