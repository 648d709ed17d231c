/** Unix sockets on either side of the agent. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { referSections, startAgent } from '../agent.js';
import { accepts, makeFolder, peerTest, shared } from '../support.js';
import { assertGoSuite, goMetadata, motanGo, startGoServer } from './peers.js';

const scene = shared(async () => {
  const folder = makeFolder();
  const agentSock = join(folder, 'agent.sock');
  const serverSock = join(folder, 'server.sock');
  await startGoServer({ at: serverSock });
  const refers = referSections([{ group: 'go-rpc', nodes: [`unix://${serverSock}`] }]);
  const agent = await startAgent({ ...refers, 'motan-agent': { unixSock: agentSock } });
  return { agent, serverSock, call: { at: agentSock } };
});

peerTest('calls come in by one unix socket and go out by another', [motanGo], async () => {
  const { call } = await scene();

  await assertGoSuite(call);
});

peerTest('the unix socket replaces the TCP port', [motanGo], async () => {
  const { agent } = await scene();

  assert.equal(await accepts(agent.port), false);
});

peerTest(
  'a node on a unix socket is named in the answer, and its peer has no address',
  [motanGo],
  async () => {
    const { call, serverSock } = await scene();

    const { arrived, answer } = await goMetadata(call);

    assert.equal(arrived.host, '@');
    assert.equal(answer.metadata['x-forwarded-for'], `[unix://${serverSock}]:0`);
  },
);
