/** Lets a bounded number of reads go on at the same time: what announces us must not wait behind ten thousand of them. */
export class ReadGate {
  #free: number;
  readonly #line: (() => void)[] = [];
  #lineAt = 0;

  constructor(readsAtOnce: number) {
    this.#free = readsAtOnce;
  }

  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    try {
      return await read();
    } finally {
      this.#next();
    }
  }

  /** Hands the place on to who waits longest. */
  #next(): void {
    const next = this.#line[this.#lineAt];
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#lineAt += 1;
    if (this.#lineAt >= 1024 || this.#lineAt === this.#line.length) {
      this.#line.splice(0, this.#lineAt);
      this.#lineAt = 0;
    }
    next();
  }
}
