export type { Catalog } from './catalog.js';
export { type TypedCallDeps, TypedCalls } from './typed-calls.js';
