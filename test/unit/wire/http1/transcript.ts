/** What a reader makes of bytes, as text: one line for each message or error, with the pieces of a body joined. */
import {
  BODY,
  HEAD,
  HTTP1_LIMITS,
  type Http1Limits,
  HttpError,
  NEED_MORE,
  RequestReader,
  ResponseReader,
} from '../../../../src/wire/http1/index.js';

/** The transport has one buffer for all reads: what a reader was shown is overwritten by the next. */
const shared = Buffer.alloc(256 * 1024);

export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The reader under test, fed piece by piece. */
export function readRequests(pieces: readonly Buffer[], limits: Http1Limits = HTTP1_LIMITS): string[] {
  const reader = new RequestReader(limits);
  return transcript(reader, pieces, () => {
    const { method, target, minorVersion, host, fields } = reader.head;
    return `${method} ${target} 1.${minorVersion} ${host} [${fields.join('|')}]`;
  });
}

/** Likewise, for answers to requests of these methods; a line more tells how the end of the input was taken. */
export function readResponses(
  methods: readonly string[],
  pieces: readonly Buffer[],
  limits: Http1Limits = HTTP1_LIMITS,
): string[] {
  const reader = new ResponseReader(limits);
  const waiting = [...methods];
  reader.expect(waiting.shift()!);
  const lines = transcript(
    reader,
    pieces,
    () => `${reader.head.status} ${reader.head.reason} [${reader.head.fields.join('|')}]`,
    () => {
      const method = waiting.shift();
      if (method !== undefined) reader.expect(method);
    },
  );
  if (!lines.at(-1)?.startsWith('error')) lines.push(reader.finish() ? 'ended' : 'cut short');
  return lines;
}

function transcript(
  reader: RequestReader | ResponseReader,
  pieces: readonly Buffer[],
  headLine: () => string,
  onEnd = (): void => {},
): string[] {
  const lines: string[] = [];
  let body = '';
  let isOpen = false;
  const close = (state: string): void => {
    if (isOpen) lines.push(`  ${state} "${body}"`);
    body = '';
    isOpen = false;
  };
  try {
    for (const piece of pieces) {
      piece.copy(shared);
      reader.push(shared, piece.length);
      for (let found = reader.next(); found !== NEED_MORE; found = reader.next()) {
        if (found === HEAD) {
          lines.push(headLine());
          isOpen = true;
        } else if (found === BODY) {
          body += reader.bytes.toString('latin1', reader.bodyStart, reader.bodyEnd);
        } else {
          close('end');
          onEnd();
        }
      }
      shared.fill(0xee, 0, piece.length);
    }
    close('so far');
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    close('so far');
    lines.push(`error ${error.status}`);
  }
  return lines;
}

/** The bytes in one piece, in two at every place, and one by one. */
export function* everyCut(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at += 1) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
}
