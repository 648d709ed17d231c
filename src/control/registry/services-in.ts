/** Which services have a directory in a file registry (`node-file.ts` has the layout). */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceName } from '../../core/index.js';
import { fileErrorCode, readBounded } from './atomic-file.js';
import { fromFileName } from './file-names.js';
import { NODE_FILE_BYTES_MAX, NODE_FILE_SUFFIX, parseNodeFile } from './node-file.js';

export async function servicesIn(root: string): Promise<readonly ServiceName[]> {
  const services: ServiceName[] = [];
  for (const group of await foldersIn(root)) {
    for (const service of await foldersIn(path.join(root, group))) {
      const names = { group: fromFileName(group), path: fromFileName(service) };
      if (names.group !== null && names.path !== null)
        services.push({ group: names.group, path: names.path });
      else services.push(...(await serviceOfNodes(path.join(root, group, service))));
    }
  }
  return services;
}

/** None where there is no directory yet. */
async function foldersIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name);
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Of names that are too long for a file, from the first node that makes sense. */
async function serviceOfNodes(directory: string): Promise<readonly ServiceName[]> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith(NODE_FILE_SUFFIX)) continue;
    try {
      const { node } = parseNodeFile(await readBounded(path.join(directory, name), NODE_FILE_BYTES_MAX));
      return [{ group: node.group, path: node.path }];
    } catch {
      // left out; whoever watches the service is told
    }
  }
  return [];
}
