export { type CgiDeps, createCgiProvider } from './cgi-provider.js';
