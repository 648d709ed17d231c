/** `/proxy_to_rpc` of the agent under test beside that of the motan-go agent, before the same Go server; and calls that find no node. */
import assert from 'node:assert/strict';
import { type AgentKind, agentKind, referSections, SERVICE, startPeony } from '../agent.js';
import { motanGo, startGoServer } from '../motan-go/peers.js';
import { freePort, peerTest, shared } from '../support.js';
import { type Echo, startBackend } from './backend.js';
import { type Answer, ask, type Question, valuesOf } from './client.js';
import { startFront } from './scene.js';

const backend = shared(startBackend);
const NOWHERE = 'peony.interop.Nowhere';

/**
 * Both agents with a refer of the Go server, and two domains that are hosts, too: of `127.0.0.1` no node can be reached, and the node of
 * `localhost` is an agent that can reach none.
 */
const fronts = shared(async () => {
  const server = await startGoServer();
  const refers = referSections([{ group: 'go-rpc', nodes: [server.at] }]);
  const { port } = await backend();
  const registry = { protocol: 'direct', address: `127.0.0.1:${await freePort()}` };
  const service = { group: 'nowhere', protocol: 'motan2', registry: 'nowhere', requestTimeout: 1000 };
  const next = await startPeony({
    'motan-registry': { nowhere: registry },
    'motan-refer': { nowhere: { ...service, path: NOWHERE } },
  });
  const location = { match: '/', type: 'start', upstream: NOWHERE };
  const nowhere = {
    ...refers,
    'motan-registry': {
      ...refers['motan-registry'],
      nowhere: registry,
      next: { protocol: 'direct', address: `127.0.0.1:${next.port}` },
    },
    'http-client': {
      nowhere: { ...service, domain: '127.0.0.1', preload: NOWHERE },
      next: { ...service, domain: 'localhost', preload: NOWHERE, registry: 'next' },
    },
    'http-locations': { '127.0.0.1': [location], localhost: [location] },
  };
  const settings = { httpProxyAllow: `127.0.0.1:${port}, localhost:${port}` };
  return {
    tested: await startFront(agentKind, [], settings, nowhere),
    peer: await startFront('motan-go', [], settings, nowhere),
  };
});

/** Asks both, in turn. */
async function askBoth(question: Question): Promise<{ tested: Answer; peer: Answer }> {
  const { tested, peer } = await fronts();
  return { tested: await ask(tested.httpPort, question), peer: await ask(peer.httpPort, question) };
}

const FORM = [['Content-Type', 'application/x-www-form-urlencoded']] as const;

function byQuery(method: string, more: string, service = SERVICE): Question {
  return { path: `/proxy_to_rpc?service=${service}&method=${method}${more}` };
}

function byForm(body: string, query = ''): Question {
  return { path: `/proxy_to_rpc${query}`, method: 'POST', fields: FORM, body };
}

const TEXT = 'group=go-rpc&arg_type=string&arg=';
const WHO = `service=${SERVICE}&method=hello`;
const BIG = 'x'.repeat(100_000);

/** Status and body of these are the same. */
const SAME: Readonly<Record<string, Question>> = {
  'a call by query': byQuery('hello', `&${TEXT}world`),
  'a call by form': byForm(`${WHO}&${TEXT}world`),
  'a call by query with its argument in the form': byForm('arg=form', `?${WHO}&group=go-rpc&arg_type=string`),
  'the query before the form': byForm(`${WHO}&${TEXT}form`, '?arg=query'),
  'an argument that is escaped': byForm(`${WHO}&${TEXT}a+b%26c%3Dd%25%2B%E4%B8%96`),
  'an escape that is broken': byForm(`${WHO}&${TEXT}100%zz%`),
  'an argument in front of the rest': byForm(`arg=first&${WHO}&group=go-rpc&arg_type=string`),
  'an argument that is empty': byQuery('echoString', `&${TEXT}`),
  'two arguments': byForm(`${WHO}&${TEXT}one&arg=two`),
  'a large argument': byForm(`service=${SERVICE}&method=echoString&${TEXT}${BIG}`),
  'no group, where one refer has the service': byQuery('hello', '&arg_type=string&arg=world'),
  'any host and any method': { ...byQuery('hello', `&${TEXT}world`), host: 'any.example:81', method: 'PUT' },
  'no service': { path: '/proxy_to_rpc?method=hello&arg_type=string&arg=x' },
  'no method': { path: `/proxy_to_rpc?service=${SERVICE}&arg_type=string&arg=x` },
  'nothing at all': { path: '/proxy_to_rpc' },
  'no type': byQuery('hello', '&group=go-rpc&arg=x'),
  'another type': byQuery('hello', '&group=go-rpc&arg_type=int&arg=1'),
  'a business exception': byQuery('fail', `&${TEXT}already%20full`),
  'a service that nobody refers to': byQuery('hello', `&${TEXT}x`, 'peony.interop.Nobody'),
};

for (const [name, question] of Object.entries(SAME)) {
  peerTest(`/proxy_to_rpc answers as that of motan-go: ${name}`, [motanGo], async () => {
    const { tested, peer } = await askBoth(question);

    assert.deepEqual(outcomeOf(tested), outcomeOf(peer));
  });
}

function outcomeOf(answer: Answer): [number, string] {
  return [answer.status, answer.body.toString('latin1').slice(0, 200)];
}

peerTest(
  '/proxy_to_rpc gives the metadata of the answer as fields, as that of motan-go',
  [motanGo],
  async () => {
    const { tested, peer } = await askBoth(byQuery('meta', `&${TEXT}x`));

    for (const name of ['Content-Type', 'Answered-By', 'X-Forwarded-For']) {
      assert.deepEqual(valuesOf(tested.fields, name), valuesOf(peer.fields, name), name);
      assert.equal(valuesOf(tested.fields, name).length, 1, name);
    }
  },
);

/** What the agent under test does not pass: where the request goes, what it is written in, how long it is. */
const NOT_METADATA = ['Host', 'Connection', 'Content-Length', 'M_rid'];

peerTest('/proxy_to_rpc makes metadata of fields, as that of motan-go', [motanGo], async () => {
  const { tested, peer } = await askBoth({
    ...byQuery('meta', `&${TEXT}x`),
    fields: [
      ['x-lower', 'one'],
      ['X-Empty', ''],
      ['Cookie', 'a=1; b=2'],
      ['User-Agent', 'interop/1'],
      ['X-Text', 'gr\xc3\xbcn'],
    ],
  });

  assert.deepEqual(metadataOf(tested), metadataOf(peer));
  assert.equal(metadataOf(tested)['X-Lower'], 'one');
});

function metadataOf(answer: Answer): Record<string, string> {
  const arrived = JSON.parse(answer.body.toString()) as Record<string, string>;
  return Object.fromEntries(Object.entries(arrived).filter(([key]) => !NOT_METADATA.includes(key)));
}

peerTest('/proxy_to_rpc does not take keys of the protocol from fields', [motanGo], async () => {
  const { tested, peer } = await askBoth({
    ...byQuery('meta', `&${TEXT}x`),
    fields: [
      ['M_s', 'forged'],
      ['Http_proxy', 'true'],
    ],
  });

  assert.equal(metadataOf(tested).M_s, ofKind(agentKind, undefined, 'forged') ?? 'interop-agent');
  assert.equal(metadataOf(peer).M_s, 'forged'); // as it does with every field of the caller
});

function ofKind<T>(kind: AgentKind, peony: T, motanGoOne: T): T {
  return kind === 'peony' ? peony : motanGoOne;
}

for (const [finder, name] of [
  ['the agent', '127.0.0.1'],
  ['the next agent', 'localhost'],
] as const) {
  peerTest(
    `a call for which ${finder} finds no node goes to the host itself, with its body`,
    [motanGo],
    async () => {
      const { port } = await backend();
      const host = `${name}:${port}`;

      const { tested, peer } = await askBoth({
        path: '/echo/a?b=c',
        method: 'POST',
        host,
        fields: [...FORM, ['X-Twice', '1'], ['X-Twice', '2']],
        body: 'k=v',
      });

      for (const answer of [tested, peer]) {
        assert.equal(answer.status, 200, answer.body.toString());
        const echo = JSON.parse(answer.body.toString()) as Echo;
        assert.deepEqual([echo.method, echo.url, echo.body], ['POST', '/echo/a?b=c', 'k=v']);
        assert.deepEqual(valuesOf(echo.fields, 'Host'), [host]);
        assert.deepEqual(valuesOf(echo.fields, 'X-Twice'), ['1', '2']);
        assert.deepEqual(valuesOf(echo.fields, 'Motan-P'), []);
      }
    },
  );
}

peerTest('a call that finds no node and no allowed host does not leave the agent', [motanGo], async () => {
  const forbidden = await freePort();

  const { tested, peer } = await askBoth({ path: '/echo/', host: `127.0.0.1:${forbidden}` });

  // The peer tries any host, and finds nobody there.
  assert.equal(tested.status, ofKind(agentKind, 403, 502));
  assert.equal(peer.status, 502);
});
