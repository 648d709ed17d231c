/**
 * The registry of the demo: a directory, or a server of its own on loopback, in the demo's folder and on free ports. It ends with the
 * demo, and nothing of it stays.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { freePorts, has, start } from './processes.mjs';

const ZOOKEEPER_JAR = '/usr/share/java/zookeeper.jar';
/** Where scripts/setup puts it. */
const CONSUL_PEER = '.cache/peers/consul/usr/bin/consul';

export const REGISTRY_KINDS = ['file', 'zookeeper', 'consul', 'redis'];

/**
 * Starts what the kind needs. The answer: how an entry of `motan-registry` names it, and what the service is told.
 * Throws when the server is not installed, and says how to get it.
 */
export async function openRegistry(kind, { root, folder, say, show }) {
  if (kind === 'file') {
    const place = join(folder, 'registry');
    return { place, entry: `    protocol: file\n    path: ${place}\n` };
  }
  say(`A ${kind} server starts, for this demo alone.`);
  const { port, program } = await SERVERS[kind](root, folder);
  show('', `${program.name}, process ${program.child.pid}, at 127.0.0.1:${port}`);
  return {
    place: `${kind}://127.0.0.1:${port}`,
    entry: `    protocol: ${kind}\n    address: 127.0.0.1:${port}\n`,
  };
}

const SERVERS = {
  async zookeeper(_root, folder) {
    if (!existsSync(ZOOKEEPER_JAR)) throw missing('ZooKeeper', 'zookeeper');
    if (spawnSync('java', ['-version'], { stdio: 'ignore' }).status !== 0) throw missing('Java', 'zookeeper');
    const [port] = await freePorts(1);
    const place = join(folder, 'zookeeper');
    mkdirSync(place);
    const config = join(place, 'zoo.cfg');
    const settings = ['clientPortAddress=127.0.0.1', `clientPort=${port}`, `dataDir=${join(place, 'data')}`];
    writeFileSync(config, [...settings, 'tickTime=500', 'admin.enableServer=false', ''].join('\n'));
    const flags = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', ZOOKEEPER_JAR];
    const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
    const isReady = () => answers(port, 'srvr', /Mode:/);
    return { port, program: await start('ZooKeeper', 'java', [...flags, main, config], isReady, place) };
  },

  async consul(root, folder) {
    const command = [join(root, CONSUL_PEER), 'consul'].find(has);
    if (command === undefined) throw missing('Consul', 'consul');
    const [port, server, lan, wan] = await freePorts(4);
    const ports = ['-http-port', port, '-server-port', server, '-serf-lan-port', lan, '-serf-wan-port', wan];
    const words = [
      'agent',
      '-dev',
      '-bind',
      '127.0.0.1',
      '-dns-port',
      '-1',
      '-hcl',
      'ports { grpc = -1 }',
      ...ports,
    ];
    const args = [...words, '-hcl', 'disable_update_check = true'].map(String);
    return { port, program: await start('Consul', command, args, /Synced node info/, folder) };
  },

  async redis(_root, folder) {
    if (!has('redis-server')) throw missing('Redis', 'redis');
    const [port] = await freePorts(1);
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', folder];
    return {
      port,
      program: await start('Redis', 'redis-server', args, /Ready to accept connections/, folder),
    };
  },
};

function missing(program, kind) {
  return new Error(
    `${program} is not installed, which the registry ${kind} needs. On Debian: scripts/setup peers --install (as root) gets it. ` +
      'Without it: scripts/demo runs with a directory as the registry.',
  );
}

async function answers(port, word, sign) {
  const socket = net.connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => undefined); // nobody listens yet: the answer to the question
  socket.setTimeout(1_000, () => socket.destroy());
  socket.write(word);
  await new Promise((resolve) => socket.once('close', resolve));
  return sign.test(text);
}
