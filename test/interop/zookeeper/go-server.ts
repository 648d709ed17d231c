/** A server on the motan-go library that lists itself in ZooKeeper. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type AgentConfig, SERVICE } from '../agent.js';
import { motanGoBin } from '../motan-go/peers.js';
import { accepts, freePort, makeFolder, type Running, saysReady, start } from '../support.js';

export function registry(address: string): AgentConfig {
  return { 'motan-registry': { zk: { protocol: 'zookeeper', address, registrySessionTimeout: 4 } } };
}

export async function startListedGoServer(
  address: string,
  group: string,
): Promise<{ port: number; process: Running }> {
  const folder = makeFolder();
  const port = await freePort();
  const service = {
    path: SERVICE,
    group,
    protocol: 'motan2',
    registry: 'zk',
    serialization: 'simple',
    ref: 'echo',
    host: '127.0.0.1',
    export: `motan2:${port}`,
  };
  const config = {
    'motan-server': { application: 'interop-go-server', log_dir: folder },
    ...registry(address),
    'motan-service': { echo: service },
  };
  const file = join(folder, 'server.yaml');
  writeFileSync(file, stringify(config));
  const args = ['-config', file, '-log-dir', folder];
  const program = { name: 'Go server', command: motanGoBin('echo-server'), args, cwd: folder };
  const process = await start(program, async (running) => (await saysReady(running)) && accepts(port));
  return { port, process };
}
