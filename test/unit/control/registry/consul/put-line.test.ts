import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { PutLine } from '../../../../../src/control/registry/consul/put-line.js';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** A server that answers each chunk in this way, a line to it, and what was sent to it. */
async function lineTo(
  t: TestContext,
  answer: (sent: string, socket: net.Socket) => void,
  requestTimeoutMs = 10_000,
): Promise<{ line: PutLine; chunks: string[] }> {
  const chunks: string[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // an end like any other
    socket.on('data', (chunk) => {
      chunks.push(chunk.toString('latin1'));
      answer(chunks.at(-1)!, socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const line = new PutLine({ host: '127.0.0.1', port, isSecure: false, token: 'word', requestTimeoutMs });
  t.after(() => {
    line.close();
    server.close();
  });
  return { line, chunks };
}

function put(line: PutLine, id: string): Promise<string> {
  return new Promise((resolve) => {
    line.put(`/${encodeURIComponent(id)}`, (outcome, text, status) =>
      resolve(`${outcome} ${status} ${text}`.trim()),
    );
  });
}

function requestsIn(chunk: string): number {
  return chunk.split(' HTTP/1.1\r\n').length - 1;
}

test('what is asked in one turn goes in one write, with the token', async (t) => {
  const { line, chunks } = await lineTo(t, (sent, socket) => socket.write(OK.repeat(requestsIn(sent))));

  const outcomes = await Promise.all(['a', 'b', 'service:c d'].map((id) => put(line, id)));

  assert.deepEqual(outcomes, ['done 200', 'done 200', 'done 200']);
  assert.equal(chunks.length, 1);
  assert.match(chunks[0]!, /^PUT \/a HTTP/);
  assert.match(chunks[0]!, /\/service%3Ac%20d HTTP\/1\.1\r\nhost: [\d.:]+\r\nx-consul-token: word\r\n/);
});

test('a refusal is that of its own request, however the bytes are cut', async (t) => {
  const text = 'CheckID "b" does not have associated TTL';
  const refusal = `HTTP/1.1 500 Internal Server Error\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  const { line } = await lineTo(t, async (_, socket) => {
    for (const byte of OK + refusal + OK) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  const outcomes = await Promise.all(['a', 'b', 'c'].map((id) => put(line, id)));

  assert.deepEqual(outcomes, ['done 200', `answer 500 ${text}`, 'done 200']);
});

test('more than may be open at once wait for their turn, and all are answered', async (t) => {
  let open = 0;
  let most = 0;
  const { line } = await lineTo(t, (sent, socket) => {
    open += requestsIn(sent);
    most = Math.max(most, open);
    setImmediate(() => {
      socket.write(OK.repeat(open));
      open = 0;
    });
  });

  const outcomes = await Promise.all(Array.from({ length: 1_000 }, (_, index) => put(line, `${index}`)));

  assert.ok(outcomes.every((outcome) => outcome === 'done 200'));
  assert.ok(most <= 128);
});

test('a server that is silent fails every request, and the next one connects anew', async (t) => {
  let isSilent = true;
  const { line } = await lineTo(
    t,
    (sent, socket) => {
      if (!isSilent) socket.write(OK.repeat(requestsIn(sent)));
    },
    50,
  );

  const outcomes = await Promise.all([put(line, 'a'), put(line, 'b')]);
  isSilent = false;
  const later = await put(line, 'c');

  assert.deepEqual(outcomes, ['wire 0 no answer within 50 ms', 'wire 0 no answer within 50 ms']);
  assert.equal(later, 'done 200');
});

for (const [what, bytes] of Object.entries({
  'another protocol': '-ERR unknown command\r\n',
  'no length': 'HTTP/1.1 200 OK\r\n\r\n',
  'a length beyond reason': 'HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n',
  'an answer too many': OK + OK,
})) {
  test(`${what} ends the connection and throws nothing`, async (t) => {
    const { line } = await lineTo(t, (_, socket) => socket.write(bytes));

    const first = await put(line, 'a');
    const second = await put(line, 'b');

    assert.match(first, what === 'an answer too many' ? /^done/ : /^wire 0 what answers there/);
    assert.match(second, /^(?:done|wire)/);
  });
}

test('a line that is closed cancels what is open', async (t) => {
  const { line } = await lineTo(t, () => {});

  const open = put(line, 'a');
  line.close();

  assert.equal(await open, 'cancelled 0 cancelled');
  assert.equal(await put(line, 'b'), 'cancelled 0 cancelled');
});
