import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { RegistryFactory } from '../../../../src/control/registry/index.js';
import { registries } from '../../../../src/control/registry/index.js';
import { serviceDirectory } from '../../../../src/control/registry/node-file.js';
import { MeshUrl, silentLogger } from '../../../../src/core/index.js';
import { type RegistryHarness, registryContract } from '../../../support/registry-contract.js';
import { realClock, removeDirectory, temporaryDirectory } from '../../../support/registry-deps.js';

const REFER = new MeshUrl({ protocol: 'motan2', path: 'com.x.Echo', group: 'g1' });

function fixedHarness(factory: RegistryFactory, url: MeshUrl): () => Promise<RegistryHarness> {
  const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: '' };
  return async () => ({
    open: () => factory.create('r1', url, deps),
    refer: (service) => REFER.with({ path: service }),
    addMalformed: null,
    close: async () => {},
  });
}

registryContract(
  'direct',
  { announces: false },
  fixedHarness(registries.direct, MeshUrl.parse('direct://:0/?address=127.0.0.1:8001,127.0.0.1:8002')),
);

registryContract('local', { announces: false }, fixedHarness(registries.local, MeshUrl.parse('local://:0/')));

registryContract('file', { announces: true }, async () => {
  const directory = await temporaryDirectory();
  const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: directory };
  return {
    open: () => registries.file.create('r1', MeshUrl.parse('file://:0/'), deps),
    refer: (service) => REFER.with({ path: service }),
    addMalformed: async (refer) => {
      const place = serviceDirectory(directory, refer.group, refer.path);
      await mkdir(place, { recursive: true });
      await writeFile(path.join(place, 'broken.json'), '{"url": "motan2://127.0.0');
    },
    writeCommand: async (scope, text) => {
      const name = scope.kind === 'service' ? scope.group : scope.application;
      const file = path.join(directory, '.command', scope.kind, `${name}.json`);
      await mkdir(path.dirname(file), { recursive: true });
      if (text === null) await rm(file);
      else await writeFile(file, text);
    },
    close: () => removeDirectory(directory),
  };
});
