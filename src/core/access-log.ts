/**
 * Where access log lines go. The filter writes bytes; this side owns the file, its rotation and what happens when the
 * disk is slow or full.
 */
export interface AccessLogSink {
  /** False while lines are dropped at the source (`/logConfig/set?access=false`). Read once per line. */
  readonly enabled: boolean;
  /**
   * Takes whole lines, each ending in a newline. The bytes are copied or written before this returns control of `chunk` through
   * `release`. Never blocks and never throws: when the bound of waiting bytes is reached the chunk is dropped and its lines counted.
   */
  write(chunk: Buffer, lines: number, release: (chunk: Buffer) => void): void;
}
