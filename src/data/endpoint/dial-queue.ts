/**
 * Opens connections, a bounded number at a time: a start with thousands of nodes must not open thousands of sockets at once, and
 * a black-holed subnet must not starve the rest for long.
 */
import { type ByteStream, dial, type IoLoop } from '../transport/index.js';

const DIALS_MAX = 256;

type Target = { readonly host: string; readonly port: number } | { readonly path: string };
type Done = (stream: ByteStream | null, error: string | null) => void;

export class DialQueue {
  readonly #loop: IoLoop;
  readonly #useRaw: boolean;
  #running = 0;
  readonly #queue: (() => void)[] = [];

  constructor(loop: IoLoop, useRaw: boolean) {
    this.#loop = loop;
    this.#useRaw = useRaw;
  }

  dial(target: Target, timeoutMs: number, done: Done): void {
    const run = (): void => {
      this.#running += 1;
      dial(this.#loop, target, timeoutMs, this.#useRaw, (stream, error) => {
        this.#running -= 1;
        this.#queue.shift()?.();
        done(stream, error);
      });
    };
    if (this.#running < DIALS_MAX) run();
    else this.#queue.push(run);
  }
}
