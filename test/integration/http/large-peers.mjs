/**
 * A backend and a caller of large bodies in a process of their own, so that the memory of the other one is the proxy's alone.
 *
 *   in   { port, mode }   port of the proxy; `length` and `chunked` send, `down` receives
 *   out  { ready } once; then { received } bytes that came through
 */
import http from 'node:http';

const MIB = 1024 * 1024;
const BYTES = 64 * MIB;
const PIECE = Buffer.alloc(MIB, 7);

const backend = http.createServer((request, response) => {
  let received = 0;
  request.on('data', (bytes) => {
    received += bytes.length;
  });
  request.on('end', () => {
    if (request.method === 'POST') {
      response.end(String(received));
      return;
    }
    response.setHeader('Content-Length', BYTES);
    writeAll(response);
  });
});
backend.listen(0, '127.0.0.1', () => process.send({ ready: true }));

process.on('message', ({ port, mode }) => {
  const headers = { Host: `backend.test:${backend.address().port}` };
  if (mode === 'length') headers['Content-Length'] = BYTES;
  const method = mode === 'down' ? 'GET' : 'POST';
  const request = http.request({ host: '127.0.0.1', port, method, headers, agent: false });
  request.on('error', (error) => process.send({ error: error.message }));
  request.on('response', (response) => {
    let text = '';
    let bytes = 0;
    response.on('data', (piece) => {
      bytes += piece.length;
      if (bytes < 100) text += piece;
    });
    response.on('end', () => process.send({ received: mode === 'down' ? bytes : Number(text) }));
  });
  if (mode === 'down') request.end();
  else writeAll(request);
});

function writeAll(stream) {
  let sent = 0;
  const write = () => {
    while (sent < BYTES) {
      sent += PIECE.length;
      if (!stream.write(PIECE)) {
        stream.once('drain', write);
        return;
      }
    }
    stream.end();
  };
  write();
}
