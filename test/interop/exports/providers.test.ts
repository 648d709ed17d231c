/**
 * The providers http, httpx and cgi of the agent under test beside those of motan-go, before the same backend and the same PHP: the Go
 * client calls both at their export ports, and the one under test also through a motan-go agent.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PhpFpm, phpFpmPeer } from '../../support/php-fpm.js';
import { type AgentKind, agentKind } from '../agent.js';
import { startBackend } from '../http/backend.js';
import { motanGo } from '../motan-go/peers.js';
import { atEnd, freePort, peerTest, shared } from '../support.js';
import {
  type Arrived,
  type Question,
  type ServiceKey,
  startExporter,
  startReferrer,
  type Told,
  tell,
} from './scene.js';

const SCRIPTS = {
  'echo.php': `<?php
    header('X-Page: yes'); header('Content-Type: application/json');
    if (isset($_SERVER['MOTAN_status'])) http_response_code((int) $_SERVER['MOTAN_status']);
    $motan = array_filter($_SERVER, fn ($name) => str_starts_with($name, 'MOTAN_'), ARRAY_FILTER_USE_KEY);
    ksort($motan); ksort($_GET); ksort($_POST);
    foreach ($_POST as $name => $text) if (strlen($text) > 1000) $_POST[$name] = md5($text);
    echo json_encode(['motan' => $motan, 'get' => $_GET, 'post' => $_POST, 'method' => $_SERVER['REQUEST_METHOD'],
      'software' => $_SERVER['SERVER_SOFTWARE'], 'script' => basename($_SERVER['SCRIPT_FILENAME'])]);`,
};

const scene = shared(async () => {
  const backend = await startBackend();
  const fpm = await PhpFpm.start({ listen: 'tcp', maxChildren: 3, scripts: SCRIPTS });
  atEnd(() => fpm.stop());
  const backends = { http: backend.port, down: await freePort(), php: fpm };
  const tested = await startExporter(agentKind, backends);
  const peer = await startExporter('motan-go', backends);
  return { backend, tested, peer, between: await startReferrer('motan-go', tested) };
});

const MAP = 'map:name=J\xfcrgen M,x=1 & 2,empty=';

/** By name: what is called. `change` makes of what motan-go tells what is told by an agent with the difference that its name gives. */
interface Case {
  readonly question: Question;
  readonly change?: (told: Told) => Told;
}

const same = (service: ServiceKey, method: string, argument = '', metadata = {}): Case => ({
  question: { service, method, argument, metadata },
});

/** motan-go does not tell the status of a page. */
const withStatus = (status: string, told: Case): Case => ({
  ...told,
  change: (answer) => ({ ...answer, metadata: { ...answer.metadata, upstreamCode: status } }),
});

/** What arrived at the backend is the same but for what `change` makes of it. */
const but = (told: Case, change: (arrived: Arrived) => Arrived): Case => ({
  ...told,
  change: (answer) => ({ ...answer, value: change(answer.value as Arrived) }),
});

const withFields = (arrived: Arrived, change: (field: string) => string | null): Arrived => {
  const fields = (arrived.fields as string[]).map(change).filter((field) => field !== null);
  return { ...arrived, fields: fields.sort() };
};

/** The library that motan-go uses for urls names itself, in all other modes it is the agent. */
const asAgent = (told: Case): Case =>
  but(told, (arrived) =>
    withFields(arrived, (field) =>
      field === 'User-Agent: Go-http-client/1.1' ? 'User-Agent: motan' : field,
    ),
  );

/** motan-go's library gives every body a type, also one that is not there. */
const withoutType = (told: Case): Case =>
  but(told, (arrived) => withFields(arrived, (field) => (field.startsWith('Content-Type:') ? null : field)));

/** motan-go's library leaves out a question mark behind which nothing stands. */
const withQuestionMark = (told: Case): Case =>
  but(told, (arrived) => ({ ...arrived, url: `${arrived.url}?` }));

const CASES: Readonly<Record<string, Case>> = {
  'mode B: no argument': same('rpc', '/echo/a'),
  'mode B: null': same('rpc', '/echo/a', 'null:'),
  'mode B: a map is the query': same('rpc', '/echo/a', MAP),
  'mode B: a map behind a query': same('rpc', '/echo/a', MAP, { HTTP_QueryString: 'q=1&r=%20' }),
  'mode B: a map is a form': same('rpcPost', '/echo/a', MAP),
  'mode B: an empty map': withoutType(same('rpcPost', '/echo/a', 'map:')),
  'mode B: a method from an attachment': same('rpc', '/echo/a', MAP, { HTTP_Method: 'PUT' }),
  'mode B: text is a body': same('rpcPost', '/echo/a', 'string:text & more'),
  'mode B: bytes are a body with their own type': same('rpcPost', '/echo/a', 'bytes:data', {
    'Content-Type': 'a/b',
  }),
  'mode B: text is no body for GET': same('rpc', '/echo/a', 'string:text'),
  'mode B: a number is no argument': same('rpc', '/echo/a', 'int64:5'),
  'mode B: attachments are fields': same('rpc', '/echo/a', '', {
    'X-One': '1',
    'lower-two': '2',
    http_user: 'three',
    http_Host: 'other.example',
    requestIdFromClient: '9',
    SERIALIZATION: 'simple',
  }),
  'mode B: the address of a caller that is named': same('rpc', '/echo/a', '', { remoteIP: '192.0.2.9' }),
  'mode B: the path is rewritten': same('rpc', '/v0/x'),
  'mode B: the path is rewritten with the query': same('rpc', '/user', '', { HTTP_QueryString: 'id=5' }),
  'mode B: a path with a blank': same('rpc', '/echo/a b'),
  'mode B: a path with an escaped blank': same('rpc', '/echo/a%20b'),
  'mode B: a path with a question mark': same('rpc', '/echo/a?b=c'),
  'mode B: a path that no location has': same('rpc', 'echo'),
  'mode B: status 404': same('rpc', '/status/404'),
  'mode B: status 500': same('rpc', '/status/500'),
  'mode B: status 302': same('rpc', '/status/302'),
  'mode B: status 204': same('rpc', '/status/204'),
  'mode B: chunks': same('rpc', '/chunked', '', { HTTP_QueryString: 'n=3' }),
  'mode B: fields that come twice': same('rpc', '/fields'),
  'mode B: an error is an exception': same('rpcStrict', '/status/404'),
  'mode B: no error is none': same('rpcStrict', '/status/302'),
  'mode B: nobody listens': same('rpcDown', '/echo/a'),
  'mode B: no answer': same('rpc', '/drop'),
  'mode B: half an answer': same('rpc', '/cut'),
  'mode B: too late': same('rpc', '/late', '', { HTTP_QueryString: 'ms=5000' }),

  'mode C: null': asAgent(same('url', 'any', 'null:')),
  'mode C: a map': asAgent(same('url', 'any', MAP)),
  'mode C: text': asAgent(same('url', 'any', 'string:a & b')),
  'mode C: a number says nothing': asAgent(same('url', 'any', 'int64:5')),
  'mode C: attachments': asAgent(same('url', 'any', 'null:', { 'X-One': '1', lower: '2', M_x: '3' })),
  'mode C: a method of the table, with POST': asAgent(same('url', 'find', MAP)),
  'mode C: an attachment beats the table': asAgent(same('url', 'find', MAP, { HTTP_Method: 'GET' })),
  'mode C: another method': asAgent(same('url', 'find', MAP, { HTTP_Method: 'DELETE' })),
  'mode C: status 404': same('url', 'status', 'null:'),
  'mode C: an error is an exception': same('urlStrict', '500', 'null:'),
  'mode C: nobody listens': same('urlDown', 'x', 'null:'),

  'httpx: null': withQuestionMark(same('httpx', 'any', 'null:')),
  'httpx: a map': same('httpx', 'any', MAP),
  'httpx: text': same('httpx', 'any', 'string:a & b'),
  'httpx: a form': same('httpxPost', 'any', MAP),
  'httpx: attachments': withQuestionMark(same('httpx', 'any', 'null:', { 'X-One': '1', lower: '2' })),
  'httpx: nobody listens': same('httpxDown', 'x', 'null:'),

  'cgi: null': withStatus('200', same('cgiGet', 'any', 'null:')),
  'cgi: a map': withStatus('200', same('cgiGet', 'any', MAP)),
  'cgi: text': withStatus('200', same('cgiGet', 'any', 'string:a & b')),
  'cgi: a form': withStatus('200', same('cgiPost', 'any', MAP)),
  'cgi: attachments': withStatus(
    '200',
    same('cgiGet', 'any', 'null:', { 'X-One': '1', lower: '2', http_user: '3' }),
  ),
  'cgi: a script that is not there': withStatus('404', same('cgiBroken', 'any', 'null:')),
  'cgi: nobody listens': same('cgiDown', 'x', 'null:'),
};

const peers = [motanGo, phpFpmPeer];

for (const [name, { question, change = (told: Told) => told }] of Object.entries(CASES)) {
  peerTest(`what a caller is told is what motan-go tells: ${name}`, peers, async () => {
    const { tested, peer, between } = await scene();
    const expected = await tell(peer.port, question);
    const wanted = ofKind(agentKind, change(expected), expected);

    assert.deepEqual(await tell(tested.port, question), wanted);
    assert.deepEqual(await tell(between.port, question), wanted);
  });
}

function ofKind<T>(kind: AgentKind, peony: T, motanGoOne: T): T {
  return kind === 'peony' ? peony : motanGoOne;
}

/** Where motan-go is wrong: what it tells, and what is told instead. */
interface Difference {
  readonly question: Question;
  readonly peer: (told: Told) => void;
  readonly peony: (told: Told) => void;
}

const arrivedAs = (told: Told): Arrived => {
  assert.equal(told.exception, null);
  return told.value as Arrived;
};

const panicked = (told: Told): void =>
  assert.deepEqual(told.exception, { errcode: 500, errmsg: 'provider call panic', errtype: 1 });

const asksWithoutParameters = (told: Told): void => assert.match(`${arrivedAs(told).url}`, /\/any\?$/);

const LONG = 'x'.repeat(70_000);
const LONG_SUM = createHash('md5').update(LONG).digest('hex');

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  'a key of a form cannot become another parameter': {
    question: { service: 'rpcPost', method: '/echo/a', argument: 'map:a&admin=1' },
    peer: (told) => assert.equal(arrivedAs(told).body, 'a&admin=1'.split('&').sort().join('&')),
    peony: (told) => assert.equal(arrivedAs(told).body, 'a%26admin=1'),
  },
  'mode C without an argument asks without parameters': {
    question: { service: 'url', method: 'any' },
    peer: panicked,
    peony: asksWithoutParameters,
  },
  'httpx without an argument asks without parameters': {
    question: { service: 'httpx', method: 'any' },
    peer: panicked,
    peony: asksWithoutParameters,
  },
  'a page without an argument is asked without parameters': {
    question: { service: 'cgiGet', method: 'any' },
    peer: panicked,
    peony: (told) => assert.deepEqual(arrivedAs(told).get, []),
  },
  'a form that is larger than one record of FastCGI reaches the page': {
    question: { service: 'cgiPost', method: 'any', argument: `map:long=${LONG}` },
    peer: (told) => assert.notEqual(toPost(told).long, LONG_SUM),
    peony: (told) => assert.equal(toPost(told).long, LONG_SUM),
  },
  'the status of a page is told': {
    question: { service: 'cgiGet', method: 'any', argument: 'null:', metadata: { status: '503' } },
    peer: (told) => assert.equal(told.metadata.upstreamCode, undefined),
    peony: (told) => assert.equal(told.metadata.upstreamCode, '503'),
  },
  'an attachment cannot double the Host of httpx': {
    question: { service: 'httpx', method: 'any', argument: 'null:', metadata: { Host: 'other.example' } },
    peer: (told) => assert.notEqual(hostsOf(told), 1),
    peony: (told) => assert.equal(hostsOf(told), 1),
  },
};

function toPost(told: Told): Record<string, string> {
  return typeof told.value === 'string' ? {} : ((told.value.post ?? {}) as Record<string, string>);
}

/** 0 when the backend refused the request. */
function hostsOf(told: Told): number {
  if (typeof told.value === 'string') return 0;
  return (told.value.fields as string[]).filter((field) => field.startsWith('Host:')).length;
}

for (const [name, { question, peer, peony }] of Object.entries(DIFFERENCES)) {
  peerTest(`other than with motan-go ${name}`, peers, async () => {
    const { tested, peer: reference, between } = await scene();

    peer(await tell(reference.port, question));
    ofKind(agentKind, peony, peer)(await tell(tested.port, question));
    ofKind(agentKind, peony, peer)(await tell(between.port, question));
  });
}

for (const service of ['rpcPost', 'httpxPost', 'url'] as const) {
  peerTest(`a slow ${service} request is put once`, peers, async (t) => {
    if (agentKind === 'motan-go') return t.skip('httpx of motan-go puts it up to five times');
    const { tested, backend } = await scene();
    const path = `/late/${service}`;

    const told = await tell(tested.port, {
      service,
      method: service === 'rpcPost' ? path : 'slow',
      argument: 'map:ms=5000',
      metadata: { HTTP_QueryString: 'ms=5000', HTTP_Method: 'POST' },
    });

    assert.equal(told.exception?.errcode, 503);
    assert.equal(backend.counts.get(path), 1);
  });
}
