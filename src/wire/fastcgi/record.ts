/**
 * What FastCGI 1.0 is made of: records, both ways, on a connection that carries one request at a time.
 *
 *   0      1      2      4         6         7        8          8+n       8+n+p
 *   | 1 | type | request | content n | padding p | 0 | content | padding |
 *
 *   us:   BEGIN_REQUEST, PARAMS..., PARAMS empty, STDIN..., STDIN empty
 *   them: STDOUT and STDERR in any order, END_REQUEST
 *
 * Requests are never multiplexed: no backend that is known (PHP-FPM least of all) can do it.
 */

export const RECORD_HEAD_BYTES = 8;
/** What a size of two bytes can say. */
export const CONTENT_BYTES_MAX = 0xffff;
/** The id of the only request of a connection. Peers answer with it. */
export const REQUEST_ID = 1;

export const RECORD_TYPE = {
  beginRequest: 1,
  endRequest: 3,
  params: 4,
  stdin: 5,
  stdout: 6,
  stderr: 7,
} as const;

/** Reasons of END_REQUEST. */
export const PROTOCOL_STATUS = {
  complete: 0,
  cannotMultiplex: 1,
  overloaded: 2,
  unknownRole: 3,
} as const;

/** Writes the head of a record with this request's id and without padding. */
export function writeRecordHead(into: Buffer, at: number, type: number, contentBytes: number): void {
  into[at] = 1;
  into[at + 1] = type;
  into.writeUInt16BE(REQUEST_ID, at + 2);
  into.writeUInt16BE(contentBytes, at + 4);
  into[at + 6] = 0;
  into[at + 7] = 0;
}
