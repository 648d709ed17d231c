export type { HttpProviderDeps } from './backend.js';
export { DomainCalls, type DomainCallsDeps } from './domain-calls.js';
export { createHttpProvider, createHttpxProvider } from './http-provider.js';
