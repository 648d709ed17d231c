/**
 * Reads what the backend sends: a pull parser over views, however the bytes are cut.
 *
 *   head (8) --> content, in pieces as it comes --> padding --> head ...        END_REQUEST --> ended: nothing more is read
 *
 * Nothing is gathered but heads and the eight bytes of END_REQUEST, so a backend decides about no memory here. Pieces are
 * views that are valid until the next `push`; whoever keeps them bounds them.
 */
import { ProtocolError } from '../../core/index.js';
import { PROTOCOL_STATUS, RECORD_HEAD_BYTES, RECORD_TYPE, REQUEST_ID } from './record.js';

/** What `next` found. */
export const NEED_MORE = 0;
export const STDOUT = 1;
export const STDERR = 2;
export const END_REQUEST = 3;
export type Found = typeof NEED_MORE | typeof STDOUT | typeof STDERR | typeof END_REQUEST;

const END_BYTES = 8;
const NO_BYTES = Buffer.alloc(0);

export class RecordReader {
  /** After STDOUT and STDERR: the piece is `bytes[start, end)`. */
  bytes: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  /** After END_REQUEST: exit code of the application, and one of PROTOCOL_STATUS. */
  appStatus = 0;
  protocolStatus: number = PROTOCOL_STATUS.complete;
  #at = 0;
  #length = 0;
  /** A head, or the content of END_REQUEST, as far as it has come. */
  readonly #gathered = Buffer.alloc(Math.max(RECORD_HEAD_BYTES, END_BYTES));
  #gatheredBytes = 0;
  /** Type of the record whose content is being read; 0 between records. */
  #type = 0;
  #contentLeft = 0;
  #paddingLeft = 0;
  #hasEnded = false;

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Shows `length` new bytes at the start of `input`. What is left of the input before is dropped: read it all first. */
  push(input: Buffer, length: number): void {
    this.bytes = input;
    this.#at = 0;
    this.#length = length;
  }

  /** Throws ProtocolError for bytes that are no answer of a FastCGI backend; the stream cannot be resumed after that. */
  next(): Found {
    while (!this.#hasEnded && this.#at < this.#length) {
      if (this.#type === 0) {
        if (this.#paddingLeft > 0) this.#skipPadding();
        else if (this.#gather(RECORD_HEAD_BYTES)) this.#openRecord();
      } else if (this.#contentLeft === 0) {
        this.#type = 0;
      } else if (this.#type === RECORD_TYPE.endRequest) {
        if (this.#readEnd()) return END_REQUEST;
      } else {
        const found = this.#readPiece();
        if (found !== NEED_MORE) return found;
      }
    }
    return NEED_MORE;
  }

  #openRecord(): void {
    const head = this.#gathered;
    const version = head[0]!;
    const type = head[1]!;
    const id = head.readUInt16BE(2);
    if (version !== 1) throw new ProtocolError(`not a FastCGI record: version ${version}`);
    const isOurs = type === RECORD_TYPE.stdout || type === RECORD_TYPE.stderr;
    const isEnd = type === RECORD_TYPE.endRequest;
    // Records about the connection have id 0 and are none of the request's; nobody asked for one, and they do no harm.
    if (id !== 0 && id !== REQUEST_ID) throw new ProtocolError(`FastCGI record of unknown request ${id}`);
    if (id === REQUEST_ID && !isOurs && !isEnd) throw new ProtocolError(`FastCGI record of type ${type}`);
    if (id === 0 && (isOurs || isEnd))
      throw new ProtocolError(`FastCGI record of type ${type} without request`);
    this.#contentLeft = head.readUInt16BE(4);
    this.#paddingLeft = head[6]!;
    if (isEnd && this.#contentLeft < END_BYTES)
      throw new ProtocolError(`FastCGI END_REQUEST of ${this.#contentLeft} bytes`);
    this.#type = type;
  }

  /** Moves bytes to the gathered ones until there are `count`; then true, once. */
  #gather(count: number): boolean {
    const take = Math.min(count - this.#gatheredBytes, this.#length - this.#at);
    this.bytes.copy(this.#gathered, this.#gatheredBytes, this.#at, this.#at + take);
    this.#at += take;
    this.#gatheredBytes += take;
    if (this.#gatheredBytes < count) return false;
    this.#gatheredBytes = 0;
    return true;
  }

  #readEnd(): boolean {
    if (!this.#gather(END_BYTES)) return false;
    this.appStatus = this.#gathered.readUInt32BE(0);
    this.protocolStatus = this.#gathered[4]!;
    this.#hasEnded = true;
    return true;
  }

  #readPiece(): Found {
    const take = Math.min(this.#contentLeft, this.#length - this.#at);
    this.start = this.#at;
    this.end = this.#at + take;
    this.#at = this.end;
    this.#contentLeft -= take;
    const type = this.#type;
    if (this.#contentLeft === 0) this.#type = 0;
    if (type === RECORD_TYPE.stdout) return STDOUT;
    return type === RECORD_TYPE.stderr ? STDERR : NEED_MORE;
  }

  #skipPadding(): void {
    const take = Math.min(this.#paddingLeft, this.#length - this.#at);
    this.#at += take;
    this.#paddingLeft -= take;
  }
}
