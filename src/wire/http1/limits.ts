export interface Http1Limits {
  /** Start line, fields and the blank line behind them. */
  readonly headBytesMax: number;
  readonly fieldsMax: number;
  /** A chunk-size line with its extensions and line end. */
  readonly chunkLineBytesMax: number;
  /** All lines behind the last chunk. */
  readonly trailerBytesMax: number;
}

/** What nginx, Node and Go accept by default lies between 8 and 64 KiB for a head; nobody needs chunk extensions or trailers. */
export const HTTP1_LIMITS: Http1Limits = {
  headBytesMax: 32_768,
  fieldsMax: 128,
  chunkLineBytesMax: 256,
  trailerBytesMax: 8192,
};
