export * from './access-log-file.js';
export { MainLog, type MainLogOptions } from './log.js';
export * from './metrics.js';
export * from './period-statistics.js';
