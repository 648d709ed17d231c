/** Bodies zipped by the caller, by the agent, and by the server; who sees which bytes is read off taps on both sides. */
import assert from 'node:assert/strict';
import { referSections, startAgent } from '../agent.js';
import { peerTest, shared } from '../support.js';
import { startTap, type Tap, type TappedFrame } from '../tap.js';
import { javaSuite, motanJava, startJavaServer } from './peers.js';

/** Of the suite only the byte arrays of 100 and 300 KB are longer than this. */
const MINGZ_BYTES = 2_000;

const scene = shared(async () => {
  const server = await startJavaServer([
    { protocol: 'motan2', serialization: 'simple', group: 'plain' },
    { protocol: 'motan2', serialization: 'simple', group: 'server-zips', mingzSize: MINGZ_BYTES },
  ]);
  const [plain, zipping] = server.ports as [number, number];
  const upstream = {
    'caller-zips': await startTap(plain),
    'agent-zips': await startTap(plain),
    'server-zips': await startTap(zipping),
  };
  const agent = await startAgent(
    referSections([
      { group: 'caller-zips', nodes: [upstream['caller-zips'].port] },
      { group: 'agent-zips', nodes: [upstream['agent-zips'].port], parameters: { mingzSize: MINGZ_BYTES } },
      { group: 'server-zips', nodes: [upstream['server-zips'].port] },
    ]),
  );
  return { agent, upstream };
});

peerTest('a body that the caller zipped goes on unzipped', [motanJava], async () => {
  const { agent, upstream } = await scene();
  const downstream = await startTap(agent.port);

  await javaSuite('java', [
    {
      protocol: 'motan2',
      serialization: 'simple',
      group: 'caller-zips',
      port: downstream.port,
      mingzSize: MINGZ_BYTES,
    },
  ]);

  assert.notEqual(zipped(downstream, 'server').length, 0);
  assert.deepEqual(zipped(upstream['caller-zips'], 'server'), []);
});

peerTest('a refer with mingzSize zips what is longer, and nothing else', [motanJava], async () => {
  const { agent, upstream } = await scene();
  const downstream = await startTap(agent.port);

  await javaSuite('java', [
    { protocol: 'motan2', serialization: 'simple', group: 'agent-zips', port: downstream.port },
  ]);

  const longer = towards(downstream, 'server').filter((frame) => frame.bodyBytes > MINGZ_BYTES);
  assert.notEqual(longer.length, 0);
  assert.equal(zipped(upstream['agent-zips'], 'server').length, longer.length);
  assert.deepEqual(zipped(downstream, 'server'), []);
  assert.deepEqual(zipped(downstream, 'client'), []);
});

peerTest('an answer that the server zipped reaches the caller unzipped', [motanJava], async () => {
  const { agent, upstream } = await scene();
  const downstream = await startTap(agent.port);

  await javaSuite('java', [
    { protocol: 'motan2', serialization: 'simple', group: 'server-zips', port: downstream.port },
  ]);

  assert.notEqual(zipped(upstream['server-zips'], 'client').length, 0);
  assert.deepEqual(zipped(downstream, 'client'), []);
});

function towards(tap: Tap, side: TappedFrame['towards']): TappedFrame[] {
  return tap.frames.filter((frame) => frame.towards === side);
}

function zipped(tap: Tap, side: TappedFrame['towards']): TappedFrame[] {
  return towards(tap, side).filter((frame) => frame.isGzip);
}
