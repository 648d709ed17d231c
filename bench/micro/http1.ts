/** Reading the head of an HTTP request: the same bytes as the last one, and others. What a connection pays for each request. */
import { HTTP1_LIMITS, NEED_MORE, RequestReader, ResponseReader } from '../../src/wire/http1/index.js';
import { timeOperation } from './support.js';

const SMALL = requestHead(3, '0');
const LARGE = requestHead(12, '0');
const CHUNKED = Buffer.from(
  'POST /echo HTTP/1.1\r\nHost: bench.example\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n' +
    `${'x'.repeat(128)}\r\n0\r\n\r\n`,
);
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello');

timeRequests(`the same head of ${SMALL.length} bytes`, [SMALL]);
timeRequests(`the same head of ${LARGE.length} bytes`, [LARGE]);
timeRequests(`a head of ${SMALL.length} bytes, one field new`, varied(3));
timeRequests(`a head of ${LARGE.length} bytes, one field new`, varied(12));
timeRequests(`the same head of ${CHUNKED.indexOf('80\r\n')} bytes and a chunked body`, [CHUNKED]);
timeRequests(`the same head of ${SMALL.length} bytes in two pieces`, [
  SMALL.subarray(0, 100),
  SMALL.subarray(100),
]);
timeAnswers();

/** Time of one push and its messages, with pieces in turn. They are copied to one buffer, where the transport would have read them to. */
function timeRequests(title: string, pieces: readonly Buffer[]): void {
  const reader = new RequestReader(HTTP1_LIMITS);
  const shared = Buffer.alloc(64 * 1024);
  let turn = 0;
  timeOperation(title, () => {
    const piece = pieces[turn]!;
    piece.copy(shared);
    reader.push(shared, piece.length);
    turn = (turn + 1) % pieces.length;
    while (reader.next() !== NEED_MORE);
    return reader.head;
  });
}

function timeAnswers(): void {
  const reader = new ResponseReader(HTTP1_LIMITS);
  timeOperation(`the same answer of ${ANSWER.length} bytes`, () => {
    reader.expect('GET');
    reader.push(ANSWER, ANSWER.length);
    while (reader.next() !== NEED_MORE);
    return reader.head;
  });
}

/** More heads than a memo of a few could hold. */
function varied(fields: number): Buffer[] {
  return Array.from({ length: 64 }, (_, index) => requestHead(fields, String(10 + index)));
}

function requestHead(fields: number, id: string): Buffer {
  const all = [
    'Host: bench.example',
    'User-Agent: bench/1.0',
    `X-Request-Id: 4bf92f3577b34da6a3ce929d0e0e47${id.padStart(2, '0')}`,
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Encoding: gzip, deflate, br',
    'Accept-Language: zh-CN,zh;q=0.9,en;q=0.8',
    'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark',
    'Referer: http://bench.example/from/here',
    'Cache-Control: no-cache',
    'X-Forwarded-For: 10.1.2.3',
    'X-Real-Ip: 10.1.2.3',
    'Connection: keep-alive',
  ];
  return Buffer.from(`GET /echo/of/some/path?a=1 HTTP/1.1\r\n${all.slice(0, fields).join('\r\n')}\r\n\r\n`);
}
