export { Export, type ExportDeps } from './export.js';
