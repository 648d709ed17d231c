#!/usr/bin/env node
/**
 * A plain HTTP service that knows nothing of a mesh, and answers JSON.
 *
 *   node examples/http-service/http-service.mjs [--port N]
 *
 *   GET /hello?name=N     a greeting                 GET /status/N       an answer with that status
 *   any /echo             what the request was       GET /slow?ms=N      takes that long, at most 10,000 ms
 *
 * On SIGTERM it finishes what it has begun, tells its callers to close, and ends.
 */
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const BODY_BYTES_MAX = 1024 * 1024;
const SLOW_MS_MAX = 10_000;

const { values: options } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
let isStopping = false;

const server = http.createServer((request, response) => {
  answer(request).then(
    ([status, value]) => send(response, status, value),
    (error) => send(response, error.status ?? 500, { error: error.message }),
  );
});

async function answer(request) {
  const url = new URL(request.url, 'http://localhost');
  const body = await read(request); // always, so that the connection can serve the next request
  const [, first, second] = url.pathname.split('/');
  const form = isForm(request) ? new URLSearchParams(body.toString()) : new URLSearchParams();
  const parameter = (name) => url.searchParams.get(name) ?? form.get(name);
  switch (first) {
    case 'hello':
      return [200, { greeting: `Hello, ${parameter('name') ?? 'nobody'}!` }];
    case 'slow':
      await pause(Math.min(Number(parameter('ms')) || 0, SLOW_MS_MAX));
      return [200, { slept: true }];
    case 'status':
      return [Math.max(200, Math.min(Number(second) || 200, 599)), { status: second }];
    case 'echo':
      return [200, echoOf(request, url, body)];
    default:
      return [404, { error: `there is no ${url.pathname}` }];
  }
}

function echoOf({ method, headers }, { pathname, searchParams }, body) {
  return { method, path: pathname, query: Object.fromEntries(searchParams), headers, body: body.toString() };
}

function isForm(request) {
  return /^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '');
}

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw Object.assign(new Error('the body is too large'), { status: 413 });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response, status, value) {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
  if (isStopping) headers.Connection = 'close';
  response.writeHead(status, headers);
  response.end(body);
}

server.listen(Number(options.port), '127.0.0.1', () => console.log(`on port ${server.address().port}`));

process.once('SIGTERM', () => {
  isStopping = true;
  server.close(); // no new connections; those without a request are closed
  server.closeIdleConnections();
});
