/**
 * Paths of the peers that this version does not serve. They say so: as unknown paths they would answer the status, and a script would
 * take that for success. Those that change state are guarded already, so that serving them later cannot forget it.
 */
import { changing, json, type ManagementPath, reading } from './path.js';

function unserved(path: string): ManagementPath['answer'] {
  return () => json(JSON.stringify({ code: 501, message: `${path} is not served by this version` }), 501);
}

const CHANGING = [
  '/meta/update',
  '/meta/delete',
  '/refers/filter/set',
  '/reload/clusters',
  // They cost CPU or memory of the agent, and show what is in it.
  '/debug/pprof/sw',
  '/debug/pprof/',
  '/debug/pprof/allocs',
  '/debug/pprof/block',
  '/debug/pprof/cmdline',
  '/debug/pprof/goroutine',
  '/debug/pprof/heap',
  '/debug/pprof/mutex',
  '/debug/pprof/profile',
  '/debug/pprof/symbol',
  '/debug/pprof/trace',
  '/debug/mesh/trace',
];
const READING = [
  '/meta/get',
  '/meta/getAll',
  '/refers/filter/get',
  '/debug/stat/system',
  '/debug/stat/process',
  '/debug/stat/openFiles',
  '/debug/stat/connections',
];

export const unservedPaths: Readonly<Record<string, ManagementPath>> = Object.fromEntries([
  ...CHANGING.map((path) => [path, changing(unserved(path))] as const),
  ...READING.map((path) => [path, reading(unserved(path))] as const),
]);
