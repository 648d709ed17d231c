/** What `next` of a reader found: a small integer, because it is asked for every piece of every message. */

/** All input has been read; the next push brings more. */
export const NEED_MORE = 0;
/** `head` is the head of the next message. */
export const HEAD = 1;
/** `bytes[bodyStart, bodyEnd)` is a piece of its body, at least one byte. */
export const BODY = 2;
/** The message is complete. */
export const END = 3;

export type Found = typeof NEED_MORE | typeof HEAD | typeof BODY | typeof END;
