/** A session with a scripted ZooKeeper: what the real one does seldom, or only when it is broken. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { JuteReader, JuteWriter } from '../../../src/control/registry/zookeeper/jute.js';
import { CODE, OP } from '../../../src/control/registry/zookeeper/messages.js';
import { Session } from '../../../src/control/registry/zookeeper/session.js';
import { realClock } from '../../support/registry-deps.js';

const WAIT_MS = 10_000;

/** One frame from the session; `reader` stands behind xid and type. */
interface Request {
  readonly xid: number;
  readonly type: number;
  readonly reader: JuteReader;
}

/** The server's end of one connection. */
class Peer {
  readonly socket: net.Socket;
  readonly #frames: Buffer[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {}); // the session ends connections as it likes
    socket.on('close', () => this.#wake());
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      while (this.#bytes.length >= 4) {
        const end = 4 + this.#bytes.readInt32BE(0);
        if (this.#bytes.length < end) break;
        this.#frames.push(this.#bytes.subarray(4, end));
        this.#bytes = this.#bytes.subarray(end);
      }
      this.#wake();
    });
  }

  async frame(): Promise<Buffer> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      assert.ok(!this.socket.destroyed, 'the session ended the connection');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async hello(): Promise<{ lastZxid: bigint; timeoutMs: number; sessionId: bigint; password: string }> {
    const reader = new JuteReader(await this.frame(), 4);
    return {
      lastZxid: reader.long(),
      timeoutMs: reader.int(),
      sessionId: reader.long(),
      password: reader.buffer().toString('latin1'),
    };
  }

  async request(): Promise<Request> {
    for (;;) {
      const reader = new JuteReader(await this.frame());
      const request = { xid: reader.int(), type: reader.int(), reader };
      if (request.type !== OP.ping) return request;
    }
  }

  welcome(sessionId: bigint, timeoutMs = 4_000): void {
    const password = Buffer.from('0123456789abcdef');
    this.socket.write(
      new JuteWriter().int(0).int(timeoutMs).long(sessionId).buffer(password).bool(false).toFrame(),
    );
  }

  answer(xid: number, zxid: bigint, code: number, body: (writer: JuteWriter) => void = () => {}): Buffer {
    const writer = new JuteWriter().int(xid).long(zxid).int(code);
    body(writer);
    return writer.toFrame();
  }

  async ended(): Promise<void> {
    if (!this.socket.destroyed) await once(this.socket, 'close');
  }
}

async function scene(t: TestContext, options: { digest?: string } = {}) {
  const peers: Peer[] = [];
  const events: string[] = [];
  let wake: () => void = () => {};
  const server = net.createServer((socket) => {
    peers.push(new Peer(socket));
    wake();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const session = new Session(
    { servers: [{ host: '127.0.0.1', port }], timeoutMs: 4_000, digest: options.digest ?? null },
    { clock: realClock, random: () => 0 },
    {
      onUp: (isFresh, areWatchesKept) => {
        events.push(`up ${isFresh ? 'fresh' : 'again'} ${areWatchesKept ? 'with' : 'without'} watches`);
        wake();
      },
      onDown: (trouble) => {
        events.push(`down ${trouble.replace(`${port}`, 'PORT')}`);
        wake();
      },
      onHeard: () => {},
    },
  );
  t.after(async () => {
    for (const { socket } of peers) socket.destroy();
    await session.close();
    server.close();
  });
  const until = async <T>(probe: () => T | undefined): Promise<T> => {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const found = probe();
      if (found !== undefined) return found;
      assert.ok(performance.now() < deadline, `not within ${WAIT_MS} ms; events: ${events.join(', ')}`);
      await Promise.race([
        new Promise<void>((resolve) => {
          wake = resolve;
        }),
        pause(WAIT_MS, undefined, { ref: false }),
      ]);
    }
  };
  session.start();
  return {
    session,
    events,
    /** The connection with this number, from 0. */
    peer: (index: number) => until(() => peers[index]),
    /** Waits until so many events were told. */
    told: (count: number) => until(() => (events.length >= count ? true : undefined)),
  };
}

function exists(session: Session, path: string, onWatch: () => void = () => {}): Promise<string> {
  const wish = { kind: 'exists', path, onWatch } as const;
  const write = (writer: JuteWriter): void => void writer.text(path).bool(true);
  return session.request(path, OP.exists, write, () => 'there', wish).catch((error: Error) => error.message);
}

test('after a loss the session is asked for again, and its watches are set with what was last seen', async (t) => {
  const { session, events, peer, told } = await scene(t);
  const first = await peer(0);
  const hello = await first.hello();
  first.welcome(7n);
  await told(1);
  let fired = 0;
  const answer = exists(session, '/a', () => {
    fired += 1;
  });
  const asked = await first.request();
  first.socket.write(first.answer(asked.xid, 33n, CODE.noNode));
  const text = await answer;

  first.socket.destroy();
  const second = await peer(1);
  const again = await second.hello();
  second.welcome(7n);
  const setting = await second.request();
  const since = setting.reader.long();
  const [data, created, children] = [setting.reader.texts(), setting.reader.texts(), setting.reader.texts()];
  const event = second.answer(-1, -1n, 0, (writer) => writer.int(1).int(3).text('/a'));
  second.socket.write(Buffer.concat([event, second.answer(setting.xid, 40n, 0)]));
  await told(3);

  assert.deepEqual([hello.sessionId, hello.lastZxid, hello.timeoutMs], [0n, 0n, 4_000]);
  assert.match(text, /\/a: no such node$/);
  assert.deepEqual([again.sessionId, again.lastZxid, again.password], [7n, 33n, '0123456789abcdef']);
  assert.deepEqual([setting.xid, setting.type, since], [-8, OP.setWatches, 33n]);
  assert.deepEqual([data, created, children], [[], ['/a'], []]);
  assert.equal(fired, 1);
  assert.deepEqual(events, [
    'up fresh without watches',
    'down 127.0.0.1:PORT: the server closed the connection',
    'up again with watches',
  ]);
});

test('an event right behind the answer that set its watch is heard', async (t) => {
  const { session, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n);
  await told(1);
  let fired = 0;
  const answer = exists(session, '/a', () => {
    fired += 1;
  });

  const { xid } = await server.request();
  const event = server.answer(-1, -1n, 0, (writer) => writer.int(1).int(3).text('/a'));
  server.socket.write(Buffer.concat([server.answer(xid, 5n, CODE.noNode), event]));
  await answer;

  assert.equal(fired, 1);
});

test('a message that arrives byte by byte is one message', async (t) => {
  const { session, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n);
  await told(1);
  const answers = [exists(session, '/a'), exists(session, '/b')];
  const xids = [(await server.request()).xid, (await server.request()).xid];

  server.socket.setNoDelay(true);
  for (const byte of Buffer.concat(xids.map((xid) => server.answer(xid, 5n, 0)))) {
    server.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }

  assert.deepEqual(await Promise.all(answers), ['there', 'there']);
});

test('a session that has expired is followed by a fresh one', async (t) => {
  const { events, peer, told } = await scene(t);
  const first = await peer(0);
  await first.hello();
  first.welcome(7n);
  await told(1);
  first.socket.destroy();
  const second = await peer(1);
  const asked = (await second.hello()).sessionId;
  second.welcome(0n, 0);

  const third = await peer(2);
  const fresh = await third.hello();
  third.welcome(8n);
  await told(4);

  assert.equal(asked, 7n);
  assert.deepEqual([fresh.sessionId, fresh.lastZxid], [0n, 0n]);
  assert.deepEqual(events.slice(2), [
    'down 127.0.0.1:PORT: the session has expired',
    'up fresh without watches',
  ]);
});

test('an answer that says that the session has expired ends the connection', async (t) => {
  const { session, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n);
  await told(1);
  const answer = exists(session, '/a');
  const { xid } = await server.request();

  server.socket.write(server.answer(xid, 5n, CODE.sessionExpired));

  assert.match(await answer, /\/a: the session has expired$/);
  await server.ended();
  assert.equal((await (await peer(1)).hello()).sessionId, 7n);
});

test('servers that refuse what we have seen are asked again as if we had seen nothing, with the same session', async (t) => {
  const { session, events, peer, told } = await scene(t);
  const first = await peer(0);
  await first.hello();
  first.welcome(7n);
  await told(1);
  const answer = exists(session, '/a');
  first.socket.write(first.answer((await first.request()).xid, 33n, 0));
  await answer;
  first.socket.destroy();
  const seen: bigint[] = [];
  for (const index of [1, 2]) {
    const refusing = await peer(index);
    seen.push((await refusing.hello()).lastZxid);
    refusing.socket.end();
  }

  const last = await peer(3);
  const hello = await last.hello();
  last.welcome(7n);
  await told(5);

  assert.deepEqual(seen, [33n, 33n]);
  assert.deepEqual([hello.lastZxid, hello.sessionId], [0n, 7n]);
  assert.equal(events.at(-1), 'up again without watches');
});

test('a server that owes an answer for too long is left', async (t) => {
  const { session, events, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n, 300);
  await told(1);

  const answer = await exists(session, '/a');

  assert.match(answer, /\/a: the connection was lost$/);
  assert.match(events[1]!, /^down 127\.0\.0\.1:PORT: no answer for \d+ ms$/);
});

test('an idle session is kept alive, and a server that answers no ping is left', async (t) => {
  const { events, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n, 300);
  await told(1);

  for (let pings = 0; pings < 5; pings += 1) {
    const reader = new JuteReader(await server.frame());
    assert.deepEqual([reader.int(), reader.int()], [-2, OP.ping]);
    assert.equal(events.length, 1);
    server.socket.write(server.answer(-2, 5n, 0));
  }
  await told(2);

  assert.match(events[1]!, /no answer for \d+ ms$/);
});

test('an answer to what nobody asked ends the connection, not the session', async (t) => {
  const { events, peer, told } = await scene(t);
  const first = await peer(0);
  await first.hello();
  first.welcome(7n);
  await told(1);

  first.socket.write(first.answer(99, 5n, 0));
  await first.ended();

  assert.equal((await (await peer(1)).hello()).sessionId, 7n);
  assert.equal(events[1], 'down 127.0.0.1:PORT: it sends what ZooKeeper would not: answer 99, expected none');
});

test('an answer whose body makes no sense fails its request and ends the connection', async (t) => {
  const { session, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n);
  await told(1);
  const answer = session
    .request(
      '/a',
      OP.getChildren,
      (writer) => writer.text('/a').bool(false),
      (reader) => reader.texts(),
    )
    .catch((error: Error) => error.message);

  server.socket.write(server.answer((await server.request()).xid, 5n, 0, (writer) => writer.int(1_000_000)));

  assert.match(String(await answer), /^\/a: list of 1000000/);
  await server.ended();
});

test('refused credentials are told with the user, without the password', async (t) => {
  const { events, peer, told } = await scene(t, { digest: 'ann:geheim' });
  const server = await peer(0);
  await server.hello();
  server.welcome(7n);
  const { xid, type, reader } = await server.request();
  const [, scheme, secret] = [reader.int(), reader.text(), reader.text()];
  server.socket.write(server.answer(xid, 5n, CODE.authFailed));
  await told(1);

  assert.deepEqual([xid, type, scheme, secret], [-4, OP.auth, 'digest', 'ann:geheim']);
  assert.deepEqual(events, ['down 127.0.0.1:PORT: authentication failed as digest user "ann"']);
});

test('what is asked while there is no connection fails at once', async (t) => {
  const { session, peer } = await scene(t);
  await peer(0);

  assert.match(await exists(session, '/a'), /\/a: the connection was lost$/);
});

test('a session that is closed says goodbye, and does not come back', async (t) => {
  const { session, events, peer, told } = await scene(t);
  const server = await peer(0);
  await server.hello();
  server.welcome(7n);
  await told(1);

  const closed = session.close();
  const { type, xid } = await server.request();
  server.socket.write(server.answer(xid, 5n, 0));
  await closed;
  await server.ended();

  assert.equal(type, OP.closeSession);
  assert.equal(events.length, 1);
});
