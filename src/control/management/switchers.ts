/** Booleans of the whole process that an operator turns while it runs: spec agent 8.2. */
import type { SwitcherTable } from '../../core/index.js';

export class Switchers implements SwitcherTable {
  readonly #values = new Map<string, boolean>();

  /** Makes a switcher known. The first registration wins: configuration comes before built-in defaults. */
  register(name: string, value: boolean): void {
    if (!this.#values.has(name)) this.#values.set(name, value);
  }

  get(name: string): boolean | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: boolean): boolean {
    if (!this.#values.has(name)) return false;
    this.#values.set(name, value);
    return true;
  }

  all(): ReadonlyMap<string, boolean> {
    return this.#values;
  }
}
