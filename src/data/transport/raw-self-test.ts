/** Whether streams on Node's own handles do here what they should: asked once, at start. */
import net from 'node:net';
import { messageOf } from '../../core/index.js';
import type { ByteStream } from './byte-stream.js';
import type { IoLoop } from './io-loop.js';
import { canConnectRaw, connectRaw } from './raw-connect.js';
import { hasRawStreams, type RawHandle, RawStream, takeHandle } from './raw-stream.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const ANSWER_MS_MAX = 1000;

/** Tries a whole exchange on loopback: accept, read into our buffer, write, half-close. Takes about 5 ms. */
export async function rawStreamsWork(loop: IoLoop): Promise<boolean> {
  if (!hasRawStreams || !canConnectRaw(LOOPBACK)) return false;
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      server.on('error', reject);
      server.on('connection', (socket) => echoOnce(loop, takeHandle(socket)));
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address() as net.AddressInfo;
        connectRaw(loop, { ...LOOPBACK, port }, ANSWER_MS_MAX, 1, (stream, error) => {
          if (stream === null) reject(new Error(error ?? 'no connection'));
          else askOnce(stream, resolve);
        });
      });
    });
  } catch (error) {
    process.emitWarning(`internal stream handles cannot be used: ${messageOf(error)}`);
    return false;
  } finally {
    server.close();
  }
}

function echoOnce(loop: IoLoop, handle: RawHandle): void {
  const stream = new RawStream(loop, handle);
  stream.owner = {
    onBytes(input, _view, length) {
      const chunk = stream.reserve(length);
      input.copy(chunk.bytes, chunk.used, 0, length);
      chunk.used += length;
      return null;
    },
    onDirectBytes: () => null,
    onEnd: () => stream.closeWhenWritten(),
    onDrained() {},
    onClosed() {},
  };
}

/** Says `ping` and its end; tells whether exactly that came back. */
function askOnce(stream: ByteStream, tell: (isRight: boolean) => void): void {
  let answer = '';
  const timer = setTimeout(() => stream.close('no answer'), ANSWER_MS_MAX);
  stream.owner = {
    onBytes(input, _view, length) {
      answer += input.toString('latin1', 0, length);
      return null;
    },
    onDirectBytes: () => null,
    onEnd: () => stream.close(null),
    onDrained() {},
    onClosed() {
      clearTimeout(timer);
      tell(answer === 'ping');
    },
  };
  stream.appendBuffer(Buffer.from('ping'));
  stream.end();
}
